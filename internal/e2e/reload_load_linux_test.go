package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

// reloader is a kind of server that is reloaded many times.
type reloader struct {
	name    string
	files   map[string]string
	command func(t *testing.T) []string // behind the flags of muster run
}

func reloaders() []reloader {
	const node = `require('http').createServer((req, res) => res.end('pid: ' + process.pid + '\n')).listen(process.env.PORT, '127.0.0.1')
`
	return []reloader{
		{"node", map[string]string{"server.js": node}, func(t *testing.T) []string {
			return []string{"--", testutil.Node(t, 20), "server.js"}
		}},
		{"sdk", nil, func(*testing.T) []string {
			return []string{"--handoff", "node", "--env", roleVariable + "=release", "--", os.Args[0]}
		}},
		{"gunicorn", map[string]string{"wsgi.py": wsgi}, func(t *testing.T) []string {
			return []string{"--env", "PYTHONDONTWRITEBYTECODE=1", "--", testutil.Need(t, "gunicorn"), "-w", "1", "wsgi:app"}
		}},
	}
}

// TestTwentyReloadsLoseNothing: clients with a new connection for each request and clients that keep theirs, at least 20,000 requests, and
// none fails.
func TestTwentyReloadsLoseNothing(t *testing.T) {
	const reloads, requests = 20, 20000
	for _, kind := range reloaders() {
		t.Run(kind.name, func(t *testing.T) {
			s := &site{t: t, home: testutil.TempDir(t), dir: testutil.TempDir(t), addr: "127.0.0.1:" + strconv.Itoa(testutil.Port(t))}
			for name, text := range kind.files {
				if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"run", "--name", "site", "-i", "2", "-l", s.addr, "--reload-settle", "50ms"}, kind.command(t)...)
			s.run = testutil.Start(t, testutil.Command{Args: args, Dir: s.dir, Env: []string{"MUSTER_HOME=" + s.home, "GORACE=atexit_sleep_ms=0"}})
			s.run.WaitLine(`serving workers=2`)

			ctx, cancel := context.WithCancel(testutil.Context(t))
			defer cancel()
			total := make(chan *load.Result, 2)
			for _, fresh := range []bool{true, false} {
				go func() { // ends with ctx
					got, err := load.Run(ctx, load.Options{Addr: s.addr, Clients: 3, Count: 1 << 30, NewConnPerRequest: fresh, ThinkTime: time.Millisecond})
					if err != nil {
						t.Error(err)
					}
					total <- got
				}()
			}
			for i := range reloads {
				s.require(0, fmt.Sprintf("in generation %d", i+2), "reload", "site")
			}
			cancel()
			answered := 0
			for range 2 {
				got := <-total
				if got == nil || got.Failed() > 0 {
					t.Errorf("%v", got)
					continue
				}
				answered += got.OK
			}
			if more := requests - answered; more > 0 { // a fast machine reloads faster than the clients ask
				got, err := load.Run(testutil.Context(t), load.Options{Addr: s.addr, Clients: 3, Count: more})
				if err != nil || got.OK != more {
					t.Errorf("%v: %v", err, got)
				}
			}
			t.Logf("%d requests were answered while %d reloads ran", answered, reloads)
			s.require(0, "", "stop", "site")
		})
	}
}
