package proc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Guard outlives the master by a moment, whatever ended it. It is a process of
// its own that holds one end of a socket pair; when the other end is closed it
// kills every worker it was told about, and what belongs to them, and removes
// the master's files.
//
//	master                              guard
//	  ├── "+PID TOKEN", with a pidfd ─────►│ a worker is there
//	  ├── "-PID" ─────────────────────────►│ it was reaped
//	  ├── "~/absolute/path" ──────────────►│ to remove at the end; locked until then
//	  ├── "=/control/group" ──────────────►│ to clear at the end
//	  └── end of file ────────────────────►│ kill, remove, exit 0
//
// The pidfd travels with the message, so the guard never has to trust a number.
// If the guard itself ends, another is started and told everything anew.
type Guard struct {
	spawner *Spawner
	log     *slog.Logger
	done    sync.WaitGroup
	quit    chan struct{}

	mu      sync.Mutex
	process *Process
	conn    *os.File
	closed  bool
	workers map[int]*Process
	paths   []string
	groups  []string
}

// guardArgv0 is the argv[0] under which a muster binary is the guard.
const guardArgv0 = "muster-guard"

// guardTimeout bounds how long a guard that does not read may hold the master.
const guardTimeout = 2 * time.Second

// GuardHandle is what the program after an execve needs for [ResumeGuard]. Conn
// and Process.PIDFD must be among the files given to [Spawner.Exec].
type GuardHandle struct {
	Process Handle `json:"process"`
	Conn    int    `json:"conn"`
}

// NewGuard starts the guard process and one goroutine that replaces it if it
// ends; the goroutine ends at Close.
func NewGuard(s *Spawner) (*Guard, error) {
	g := newGuard(s)
	if err := g.start(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	g.watch()
	return g, nil
}

// ResumeGuard goes on with the guard from before an execve; it takes over the
// descriptors of h. The guard still knows its workers, but the master must Add
// them again so that a replaced guard would.
func ResumeGuard(s *Spawner, h GuardHandle) (*Guard, error) {
	p, err := Adopt(h.Process)
	if err != nil {
		return nil, fmt.Errorf("resume guard: %w", err)
	}
	unix.CloseOnExec(h.Conn)
	g := newGuard(s)
	g.process, g.conn = p, os.NewFile(uintptr(h.Conn), "guard")
	g.watch()
	return g, nil
}

func newGuard(s *Spawner) *Guard {
	return &Guard{spawner: s, log: s.log, quit: make(chan struct{}), workers: make(map[int]*Process)}
}

// Handle describes the guard for [ResumeGuard]; its descriptors are borrowed.
func (g *Guard) Handle() GuardHandle {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := GuardHandle{Process: g.process.Handle()}
	_ = control(g.conn, func(fd int) error { h.Conn = fd; return nil })
	return h
}

// PID is the guard process's number.
func (g *Guard) PID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.process.PID()
}

// Add puts an adopted process under guard; Start does it by itself.
func (g *Guard) Add(p *Process) {
	p.guard = g
	g.add(p)
}

// RemoveAtEnd has a file or a whole folder removed when the master is gone. The
// path must be absolute.
func (g *Guard) RemoveAtEnd(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("guard %s: path is not absolute", path)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paths = append(g.paths, path)
	g.tell("~"+path, -1)
	return nil
}

// ClearAtEnd has what is in a control group killed when the master is gone, and
// the group removed. The path must be absolute.
func (g *Guard) ClearAtEnd(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("guard %s: path is not absolute", path)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups = append(g.groups, path)
	g.tell("="+path, -1)
	return nil
}

// Close lets the guard do its work now, and waits for its end.
func (g *Guard) Close() {
	g.mu.Lock()
	g.closed = true
	g.conn.Close()
	g.mu.Unlock()
	close(g.quit)
	g.done.Wait()
}

func (g *Guard) add(p *Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.workers[p.pid] = p
	g.tellWorker(p)
}

func (g *Guard) forget(p *Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.workers[p.pid] != p {
		return // the pid already is another worker's
	}
	delete(g.workers, p.pid)
	g.tell("-"+strconv.Itoa(p.pid), -1)
}

func (g *Guard) tellWorker(p *Process) {
	_ = control(p.file, func(fd int) error {
		g.tell("+"+strconv.Itoa(p.pid)+" "+p.token, fd)
		return nil
	})
}

// tell sends one message, with fd unless it is negative. A guard that cannot be
// reached is one that has ended or is killed here, and its successor is told
// everything.
func (g *Guard) tell(text string, fd int) {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	err := g.send([]byte(text), rights)
	if err == nil || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		return
	}
	g.log.Warn("guard did not listen", "error", err)
	_ = g.process.Signal(unix.SIGKILL)
}

func (g *Guard) send(text, rights []byte) error {
	raw, err := g.conn.SyscallConn()
	if err != nil {
		return err
	}
	_ = g.conn.SetWriteDeadline(time.Now().Add(guardTimeout))
	werr := raw.Write(func(conn uintptr) bool {
		err = unix.Sendmsg(int(conn), text, rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case errors.Is(werr, os.ErrDeadlineExceeded):
		return werr
	case werr != nil:
		return os.ErrClosed
	}
	return err
}

// start runs a guard process and tells it all there is.
func (g *Guard) start() error {
	conn, far, err := guardPair()
	if err != nil {
		return err
	}
	defer unix.Close(far)
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		conn.Close()
		return err
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(null), uintptr(far)}
	p, err := g.spawner.fork(selfExe, []string{guardArgv0}, guardEnv, files, "")
	if err != nil {
		conn.Close()
		return err
	}
	g.install(p, conn)
	return nil
}

func (g *Guard) install(p *Process, conn *os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.process, g.conn = p, conn
	if g.closed {
		conn.Close()
		return
	}
	for _, path := range g.paths {
		g.tell("~"+path, -1)
	}
	for _, path := range g.groups {
		g.tell("="+path, -1)
	}
	for _, worker := range g.workers {
		g.tellWorker(worker)
	}
}

// guardPair makes a pair that keeps messages apart; our end is under the poller.
func guardPair() (near *os.File, far int, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(ends[0], true); err != nil {
		unix.Close(ends[0])
		unix.Close(ends[1])
		return nil, -1, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(ends[0]), "guard"), ends[1], nil
}

// watch starts the goroutine that awaits the guard process and replaces it.
func (g *Guard) watch() {
	g.done.Go(func() {
		for g.awaitEnd() && g.replace() {
		}
	})
}

// awaitEnd reaps the guard process and reports whether it should be replaced.
func (g *Guard) awaitEnd() bool {
	g.mu.Lock()
	p := g.process
	g.mu.Unlock()
	exit := p.Wait()
	p.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.conn.Close()
		g.log.Warn("guard ended", "pid", p.pid, "exit", exit.String())
	}
	return !g.closed
}

// replace starts another guard process, ever more slowly while that fails, and
// reports false when the guard was closed meanwhile.
func (g *Guard) replace() bool {
	const first, last = 50 * time.Millisecond, 10 * time.Second
	for pause := first; ; pause = min(2*pause, last) {
		select {
		case <-time.After(pause):
		case <-g.quit:
			return false
		}
		err := g.start()
		if err == nil {
			return true
		}
		g.log.Warn("guard could not be started", "error", err)
	}
}
