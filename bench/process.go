package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/musterd/muster/internal/testutil/load"
)

// How long a server may take to answer for the first time, and to end when told to.
const (
	bootTimeout = 20 * time.Second
	stopTimeout = 15 * time.Second
)

// server is a running contender. It leads a process group.
type server struct {
	cmd    *exec.Cmd
	addr   string
	output output
	exited chan struct{} // closed when the process has been waited for
	boot   time.Duration // from its start to its first answer
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a command in dir and waits for its first answer at addr.
func start(ctx context.Context, dir, addr string, env []string, command ...string) (*server, error) {
	s := &server{cmd: exec.Command(command[0], command[1:]...), addr: addr, exited: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.WaitDelay = time.Second
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.wait()
	if err := s.answers(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %v: %w\n%s", command, err, s.output.String())
	}
	s.boot = time.Since(began)
	return s, nil
}

// wait ends when the process does.
func (s *server) wait() {
	_ = s.cmd.Wait() // how it ends is not measured
	close(s.exited)
}

// answers asks until the server answers.
func (s *server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		r, err := load.Run(ctx, load.Options{Addr: s.addr, Timeout: time.Second})
		if err != nil || r.OK == 1 {
			return err
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("it ended: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serving waits until so many workers have answered.
func (s *server) serving(ctx context.Context, workers int) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	known := map[int]int{}
	for len(known) < workers && ctx.Err() == nil {
		r, err := load.Run(ctx, load.Options{Addr: s.addr, Clients: 4 * workers, Count: 8 * workers, NewConnPerRequest: true, Timeout: time.Second})
		if err != nil {
			return err
		}
		maps.Copy(known, r.ByPID)
	}
	if len(known) < workers {
		return fmt.Errorf("only %d of %d workers have answered: %w\n%s", len(known), workers, ctx.Err(), s.output.String())
	}
	return nil
}

// stop ends the process and its group.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-s.exited:
	case <-timeout.C:
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // what its master left behind
	<-s.exited
}

// freeAddr is an address of 127.0.0.1 that was free a moment ago.
func freeAddr() (string, error) {
	port, err := freePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// portOf is the port of an address, as programs of Node are told it.
func portOf(addr string) []string {
	_, port := splitAddr(addr)
	return []string{"PORT=" + port}
}

// splitAddr takes an address of freeAddr apart.
func splitAddr(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
