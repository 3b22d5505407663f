package master

import (
	"log/slog"
	"os"

	"github.com/musterd/muster/internal/notify"
)

// upstream is the manager above the master, as systemd: it is told by the notify protocol when all slots are served and when the app stops.
type upstream struct {
	path string // of its notify socket; empty without one
	log  *slog.Logger
}

func newUpstream(log *slog.Logger) upstream {
	return upstream{path: os.Getenv("NOTIFY_SOCKET"), log: log}
}

func (u upstream) ready() { u.send(notify.Message{Ready: true, Status: "serving", HasStatus: true}) }

func (u upstream) stopping() {
	u.send(notify.Message{Stopping: true, Status: "stopping", HasStatus: true})
}

func (u upstream) send(m notify.Message) {
	if u.path == "" {
		return
	}
	if err := notify.Send(u.path, m); err != nil {
		u.log.Warn("manager above not notified", keyError, err)
	}
}
