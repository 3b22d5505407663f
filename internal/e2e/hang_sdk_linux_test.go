package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/musterd/muster"
	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/testutil/load"
)

func init() { roles["sdk hang"] = hangingSDKWorker }

// theLock is what hangs a hangingSDKWorker: /lock never gives it back.
var theLock sync.Mutex

func takeTheLock() {
	theLock.Lock()
	defer theLock.Unlock()
}

// hangingSDKWorker takes the lock for each connection that it accepts, or, by E2E_ALIVE, for each sign of life.
func hangingSDKWorker() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "pid: %d\n", os.Getpid()) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(10 * time.Second)
		fmt.Fprintf(w, "pid: %d\n", os.Getpid())
	})
	mux.HandleFunc("/lock", func(http.ResponseWriter, *http.Request) {
		theLock.Lock()
		fmt.Println("hangs", os.Getpid())
		forever()
	})
	srv := &http.Server{Addr: "127.0.0.1:0", Handler: mux}
	if os.Getenv("E2E_ALIVE") != "" {
		muster.Alive(takeTheLock)
	} else {
		srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			takeTheLock()
			return ctx
		}
	}
	if err := muster.Serve(srv); err != nil {
		panic(err)
	}
}

// runSDK starts hangingSDKWorkers.
func runSDK(t *testing.T, args ...string) *nodeRun {
	t.Helper()
	port := testutil.Port(t)
	command := append([]string{"run", "--name", "x", "-l", hostPort(port), "--env", roleVariable + "=sdk hang"}, args...)
	command = append(command, "--", os.Args[0])
	return &nodeRun{Running: testutil.Start(t, testutil.Command{Args: command}), t: t, port: port, addr: hostPort(port)}
}

// knocks connects to the app, again and again, until the test ends or stop is called. What the deadlocked worker has taken is not answered.
func (r *nodeRun) knocks() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	stop = func() {
		cancel()
		wg.Wait()
	}
	r.t.Cleanup(stop)
	wg.Go(func() {
		_, _ = load.Run(ctx, load.Options{
			Addr: r.addr, Clients: 4, Count: 1 << 30, NewConnPerRequest: true, ThinkTime: 20 * time.Millisecond, Timeout: time.Second,
		})
	})
	return stop
}

// idles is what a worker does whose program waits: its runtime may have some work still, of which the race detector makes more.
const idles = `(?:sleeps|uses \d% CPU)`

// TestSDKDeadlockedAccept: the process answers, but its program takes no connections any more. It is asked for the stacks of all goroutines.
func TestSDKDeadlockedAccept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, what string
		args       []string
	}{
		{"node", `it leaves connections waiting, does not answer on its channel, and ` + idles, []string{"-i", "2", "--handoff", "node"}},
		{"inherit", `it gives no sign of life any more \(WATCHDOG=1\), and ` + idles, []string{"-i", "1", "--handoff", "inherit"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := runSDK(t, append(tt.args, "--hang-timeout", "2s")...)
			r.WaitLine(`serving workers=`)
			victim := r.hangsAt("/lock")
			stop := r.knocks()
			r.WaitLine(`worker hung.*reason="` + tt.what)
			r.WaitLine(`takeTheLock`)
			r.WaitLine(`worker exited.*exit="exit status 2".*pid=` + victim + ` .*reason=hung`)
			stop()
			r.WaitLines(0, 2, `serving workers=`)
			r.answers(20)
			r.stopClean()
		})
	}
}

// TestSDKSaysThatItIsNotAlive: the program knows best what must work; here nobody even connects.
func TestSDKSaysThatItIsNotAlive(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			r := runSDK(t, "-i", "1", "--handoff", handoff, "--env", "E2E_ALIVE=1", "--hang-timeout", "2s")
			r.serving(1)
			victim := r.hangsAt("/lock")
			r.WaitLine(`worker hung.*and ` + idles)
			r.WaitLine(`worker exited.*pid=` + victim + ` .*reason=hung`)
			r.answers(3)
			r.stopClean()
		})
	}
}

// TestSDKSlowIsNotHung, nor is one that is idle.
func TestSDKSlowIsNotHung(t *testing.T) {
	t.Parallel()
	for _, handoff := range []string{"node", "inherit"} {
		t.Run(handoff, func(t *testing.T) {
			t.Parallel()
			r := runSDK(t, "-i", "2", "--handoff", handoff, "--hang-timeout", "1s")
			r.serving(2)
			if got := r.load(load.Options{Path: "/slow", Count: 1, NoRetry: true, Timeout: time.Minute}); got.OK != 1 {
				t.Error(got)
			}
			r.stopClean()
			requireNoHang(t, r.Output(), 2)
		})
	}
}
