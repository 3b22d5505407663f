package cli

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/musterd/muster/api"
)

// orders are what list can be sorted by.
var orders = map[string]func(a, b subject) int{
	"id":       func(a, b subject) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a.name, b.name)) },
	"name":     func(a, b subject) int { return cmp.Compare(a.name, b.name) },
	"state":    func(a, b subject) int { return cmp.Compare(a.row()[2], b.row()[2]) },
	"cpu":      func(a, b subject) int { return cmp.Compare(use(a).CPU, use(b).CPU) },
	"memory":   func(a, b subject) int { return cmp.Compare(use(a).Memory, use(b).Memory) },
	"respawns": func(a, b subject) int { return cmp.Compare(a.app.Respawns, b.app.Respawns) },
	"up":       func(a, b subject) int { return b.app.Started.Compare(a.app.Started) },
}

// number is the daemon's number of an app; those of muster run are the last.
func number(s subject) int {
	if s.entry == nil {
		return math.MaxInt
	}
	return s.entry.ID
}

func use(s subject) api.Usage {
	if s.app.Usage == nil {
		return api.Usage{CPU: -1, Memory: -1}
	}
	return *s.app.Usage
}

// orderBy reads what --sort was given.
func orderBy(text string) (func(a, b subject) int, error) {
	field, way, _ := strings.Cut(text, ":")
	order, ok := orders[map[string]string{"pid": "id", "uptime": "up", "status": "state", "restarts": "respawns"}[field]]
	if !ok {
		order, ok = orders[field]
	}
	if !ok || way != "" && way != "asc" && way != "desc" {
		return nil, &usageError{fmt.Sprintf("--sort %q: is not known", text), "write id, name, state, cpu, memory, respawns or up; with :desc the other way round"}
	}
	if way == "desc" {
		return func(a, b subject) int { return order(b, a) }, nil
	}
	return order, nil
}

// refresh is the time between two pictures of list --watch.
const refresh = 2 * time.Second

// again shows something again and again: on a terminal in the same place.
func (l *listCommand) again(ctx context.Context, show func() error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	pause := time.NewTicker(refresh)
	defer pause.Stop()
	for {
		if isTerminal(l.stdout) && !l.json {
			fmt.Fprint(l.stdout, "\x1b[H\x1b[J")
		}
		if err := show(); err != nil {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}
