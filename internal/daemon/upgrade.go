package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
)

// An upgrade replaces the program that the daemon runs, in place. What has to live through it are the place of the daemon and the socket of its
// API: who asks something meanwhile waits in the queue of that. Everything else is found again, as after the daemon's death; until a master has
// given its descriptors to the new program, its workers hold them.
const (
	// RestoreVariable holds what the program before the upgrade has left: a JSON document.
	RestoreVariable = "MUSTER_DAEMON_RESTORE"
	// PreflightVariable asks a binary whether it can go on as a daemon: it is to print Preflight, and to exit.
	PreflightVariable = "MUSTER_DAEMON_PREFLIGHT"
	// Preflight is the answer of a binary that understands RestoreVariable as it is here.
	Preflight = "muster-daemon 1"
)

// heritage is what one program leaves to the next. Unknown fields are ignored.
type heritage struct {
	Folder   rundir.Handle `json:"folder"`
	Listener int           `json:"listener"`
	Started  time.Time     `json:"started"`
	Upgrades int           `json:"upgrades"`
}

// inherit reads the value of RestoreVariable, which is for this process alone; nil: there is none.
func inherit() (*heritage, error) {
	text := os.Getenv(RestoreVariable)
	if text == "" {
		return nil, nil
	}
	_ = os.Unsetenv(RestoreVariable)
	h := &heritage{}
	if err := json.Unmarshal([]byte(text), h); err != nil {
		return nil, fmt.Errorf("go on as the daemon before the upgrade: %w", err)
	}
	return h, nil
}

// listen is the socket of the API that has lived through the upgrade.
func (h *heritage) listen() (*net.UnixListener, error) {
	f := os.NewFile(uintptr(h.Listener), "control socket")
	l, err := net.FileListener(f)
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(unix.EPROTOTYPE, l.Close())
	}
	u.SetUnlinkOnClose(false)
	return u, nil
}

func (d *Daemon) postUpgrade(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := preflight(r.Context(), d.cfg.Binary); err != nil {
		return nil, &api.Error{Kind: api.KindConflict, Message: err.Error(), Hint: "the daemon goes on as it is"}
	}
	for _, k := range d.all() {
		busy, err := ask(r.Context(), k, func() (bool, error) {
			return k.state == api.EntryStarting || len(k.pending) > 0 || len(k.waiters) > 0, nil
		})
		if err == nil && busy {
			return nil, conflict(k.id+" is being started, or becoming something else", "try again when that is done")
		}
	}
	select {
	case d.ends <- endUpgrade:
	default: // it ends already
	}
	return d.getDaemon(nil, nil)
}

// preflight asks the binary whether it can go on.
func preflight(ctx context.Context, path string) error {
	answer, err := proc.Preflight(ctx, path, PreflightVariable)
	if err != nil {
		return err
	}
	if answer != Preflight {
		return fmt.Errorf("try %s: it does not know how to go on as this daemon", path)
	}
	return nil
}

// become replaces the program. It returns only if that fails, and then nothing is left of this daemon but its masters.
func (d *Daemon) become() error {
	listener, err := apiserver.Duplicate(d.listener)
	if err != nil {
		return fmt.Errorf("keep the daemon's socket: %w", err)
	}
	d.halt()
	h := heritage{Folder: d.run.Handle(), Listener: listener, Started: d.started, Upgrades: d.upgrades + 1}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	env := append(os.Environ(), RestoreVariable+"="+string(text))
	return d.spawner.Exec(d.cfg.Binary, os.Args, env, []int{listener, h.Folder.Lock})
}
