package daemon

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/testutil"
)

// An answer that was long under way must not hide a younger one: the app would be shown as it was for as long as nothing else happens.
func TestOldAnswerComesLate(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(testutil.TempDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	first, goOn := make(chan struct{}), make(chan struct{})
	master := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if n == 1 {
			close(first)
			<-goOn
		}
		fmt.Fprintf(w, `{"name":"web","revision":%d}`, n)
	})}
	go func() { _ = master.Serve(l) }()
	defer func() { _ = master.Close() }()

	k := &keeper{view: api.Entry{PID: 1, Socket: socket}}
	late := make(chan struct{})
	go func() {
		defer close(late)
		k.refresh(t.Context())
	}()
	<-first
	k.refresh(t.Context())
	close(goOn)
	<-late
	if e := k.entry(); e.App == nil || e.App.Revision != 2 {
		t.Errorf("the app is %+v", e.App)
	}
}
