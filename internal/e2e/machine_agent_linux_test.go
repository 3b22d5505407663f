package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os/exec"
	"sync"
	"syscall"

	"github.com/musterd/muster/internal/testutil/load"
)

func init() { roles["agent"] = agentMain }

// agentMain serves the test from within a machine. If the test ends without a word, so does the machine.
func agentMain() {
	conn, err := net.Dial("unix", "/agent.sock")
	if err != nil {
		panic(err)
	}
	server := rpc.NewServer()
	if err := server.Register(&Agent{}); err != nil {
		panic(err)
	}
	server.ServeConn(conn)
	_ = exec.Command("systemctl", "exit").Run()
}

// Agent does what the test asks for, within a machine.
type Agent struct {
	mu   sync.Mutex
	runs []func() (*load.Result, error)
}

// Command is a process that the agent shall run.
type Command struct {
	Argv []string
	Env  []string
	UID  uint32
}

// Ran is what became of a Command.
type Ran struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command to its end. What it leaves in the background may keep its streams.
func (a *Agent) Run(c Command, r *Ran) error {
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/usr/sbin", "HOME=/root"}, c.Env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: c.UID, Gid: c.UID}}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %v: %w", c.Argv, err)
	}
	r.Code = cmd.ProcessState.ExitCode()
	return nil
}

// Begin puts load on an address until Seen is called with the number.
func (a *Agent) Begin(o load.Options, number *int) error {
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		result *load.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() { // ends at Seen
		result, err := load.Run(ctx, o)
		done <- outcome{result, err}
	}()
	a.mu.Lock()
	defer a.mu.Unlock()
	*number = len(a.runs)
	a.runs = append(a.runs, func() (*load.Result, error) {
		cancel()
		o := <-done
		return o.result, o.err
	})
	return nil
}

// Seen ends the load and tells what it saw.
func (a *Agent) Seen(number int, s *Sight) error {
	a.mu.Lock()
	end := a.runs[number]
	a.mu.Unlock()
	result, err := end()
	if err == nil {
		*s = sightOf(result)
	}
	return err
}

// Load puts load on an address until its end, and tells what it saw.
func (a *Agent) Load(o load.Options, s *Sight) error {
	result, err := load.Run(context.Background(), o)
	if err == nil {
		*s = sightOf(result)
	}
	return err
}

// Sight is what a load saw.
type Sight struct {
	OK, Failed int
	PIDs       []int // who answered
	Text       string
}

func sightOf(r *load.Result) Sight {
	return Sight{OK: r.OK, Failed: r.Failed(), PIDs: r.PIDs(), Text: r.String()}
}
