package demo_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/musterd/muster/internal/demo"
	"github.com/musterd/muster/internal/testutil"
)

// workerVariable makes the test binary the demo worker on that address.
const workerVariable = "MUSTER_DEMO_TEST_ADDRESS"

func TestMain(m *testing.M) {
	addr, ok := os.LookupEnv(workerVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if err := demo.Main(addr); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("drained")
}

// start runs the worker and waits until it answers.
func start(t *testing.T) (*testutil.Running, string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", testutil.Port(t))
	r := testutil.Start(t, testutil.Command{Path: path, Env: []string{workerVariable + "=" + addr}})
	awaitAnswer(t, "http://"+addr)
	return r, "http://" + addr
}

func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	ctx := testutil.Context(t)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := get(url + "/"); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no answer in time")
		}
	}
}

func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	r, url := start(t)
	body, err := get(url + "/")
	want := fmt.Sprintf("I am worker, pid: %d, ppid: %d (slot -1)\n", r.Pid(), os.Getpid())
	if err != nil || body != want {
		t.Errorf("%q, %v; want %q", body, err, want)
	}
	r.Stop()
	if !strings.Contains(r.Output(), "drained") {
		t.Errorf("output %q", r.Output())
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	r, url := start(t)
	if _, err := get(url + "/exit?code=7"); err == nil {
		t.Error("a process that ended has answered")
	}
	if code := r.WaitExit().ExitCode(); code != 7 {
		t.Errorf("exit code %d", code)
	}
}

// slowest returns the longest that another request took while path was served.
func slowest(t *testing.T, url, path string) time.Duration {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := get(url + path)
		done <- err
	}()
	var longest time.Duration
	for {
		begin := time.Now()
		if _, err := get(url + "/"); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return longest
		default:
		}
	}
}

func TestBlockFreezesTheWholeProcess(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	if got := slowest(t, url, "/block?ms=2000"); got < 1500*time.Millisecond {
		t.Errorf("another request took no longer than %v", got)
	}
}

func TestSlowBlocksNobody(t *testing.T) {
	t.Parallel()
	_, url := start(t)
	if got := slowest(t, url, "/slow?ms=2000"); got > 1500*time.Millisecond {
		t.Errorf("another request took %v", got)
	}
}
