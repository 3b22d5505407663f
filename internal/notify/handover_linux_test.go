package notify

import (
	"path/filepath"
	"testing"
)

// What was sent before, between and after is received in order by whoever adopts the socket.
func TestADetachedSocketGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "n")
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	send := func(status string) {
		t.Helper()
		if err := Send(path, Message{Status: status, HasStatus: true}); err != nil {
			t.Fatal(err)
		}
	}
	waits := make(chan error, 1)
	send("before")
	if d, err := s.Receive(); err != nil || d.Message.Status != "before" {
		t.Fatalf("%+v, %v", d, err)
	}
	go func() {
		_, err := s.Receive()
		waits <- err
	}()
	fd, err := s.Detach()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err == nil {
		t.Fatal("a detached socket receives")
	}
	send("between")
	again, err := Adopt(fd, path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	send("after")
	for _, want := range []string{"between", "after"} {
		d, err := again.Receive()
		if err != nil || d.Message.Status != want || d.Creds.PID == 0 {
			t.Fatalf("%+v, %v, want %s", d, err, want)
		}
	}
}
