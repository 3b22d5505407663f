package pulse

import (
	"net"
	"testing"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/sock"
)

type queue struct{ *sock.Socket }

func (q queue) Length() (int, error) {
	state, err := q.Queue()
	return state.Len, err
}

func open(t *testing.T) queue {
	t.Helper()
	s, err := sock.OpenShared(app.Listener{Network: "tcp4", Host: "127.0.0.1"}, sock.Options{Nonblock: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return queue{s}
}

func dial(t *testing.T, q queue) {
	t.Helper()
	conn, err := net.Dial("tcp", q.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
}

func start(t *testing.T) (*Watcher, <-chan Report) {
	t.Helper()
	reports := make(chan Report)
	ended := make(chan struct{})
	w, err := New(func(r Report) {
		select {
		case reports <- r:
		case <-ended:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ended)
		w.Close()
	})
	return w, reports
}

func next(t *testing.T, reports <-chan Report) Report {
	t.Helper()
	select {
	case r := <-reports:
		return r
	case <-t.Context().Done():
		t.Fatal("no report")
		return Report{}
	}
}

// A connection that nobody takes is reported, again and again, and no more once somebody has taken it.
func TestAStuckQueueIsReported(t *testing.T) {
	t.Parallel()
	w, reports := start(t)
	q := open(t)
	key := Key{Listener: 2, Slot: 3}
	if err := w.Add(key, q); err != nil {
		t.Fatal(err)
	}
	w.Urgent(key, false)
	dial(t, q)
	for range 2 {
		if r := next(t, reports); r.Key != key || !r.Stuck || r.Len != 1 {
			t.Fatalf("%+v", r)
		}
	}
	for {
		if _, err := q.Accept(); err == nil {
			break
		}
	}
	for r := next(t, reports); r.Stuck; r = next(t, reports) {
	}
}

// After it was idle, a queue that nobody serves is reported with its first connection, each time.
func TestAnIdleQueueWakesTheWatcher(t *testing.T) {
	t.Parallel()
	w, reports := start(t)
	q := open(t)
	key := Key{}
	if err := w.Add(key, q); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dial(t, q)
		if r := next(t, reports); !r.Stuck {
			t.Fatalf("%+v", r)
		}
		if _, err := q.Accept(); err != nil {
			t.Fatal(err)
		}
		w.Took(key, 1)
	}
	w.Remove(key)
	w.Remove(key)
}
