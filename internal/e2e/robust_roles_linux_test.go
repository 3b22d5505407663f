package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// hold opens the tether of the run for the rest of the life of this process, and returns what writes an event to it.
func hold() func(format string, args ...any) {
	f, err := os.OpenFile(os.Getenv(tetherVariable), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		panic(err)
	}
	return func(format string, args ...any) { _, _ = fmt.Fprintf(f, format+"\n", args...) }
}

// forever returns never.
func forever() { select {} }

// again starts this binary in another role, and returns when it runs.
func again(role string, attr *syscall.SysProcAttr, env ...string) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), env...)
	if env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, roleVariable+"="+role)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

func init() {
	roles["plain"] = plainWorker
	roles["deaf"] = func() { deafen(); plainWorker() }
	roles["family"] = familyWorker
	roles["deaf family"] = func() { deafen(); familyWorker() }
	roles["stray"] = strayWorker
	roles["deaf stray"] = func() { deafen(); strayWorker() }
	roles["counter"] = countingWorker
	roles["flood"] = floodingWorker
	roles["orphanage"] = orphaningWorker
	roles["shell"] = shellWorker
	roles["limb"] = limb
}

// plainWorker ends at the stop signal, by default.
func plainWorker() {
	hold()("worker %d", os.Getpid())
	forever()
}

// deafen ignores whatever can be ignored of what asks a process to end.
func deafen() { signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP) }

// familyWorker has a process in its group that does not care for signals, nor for its parent's end.
func familyWorker() {
	again("limb", nil)
	plainWorker()
}

// strayWorker has one that left for a session of its own.
func strayWorker() {
	again("limb", &syscall.SysProcAttr{Setsid: true})
	plainWorker()
}

func limb() {
	deafen()
	hold()("limb %d", os.Getpid())
	forever()
}

// countingWorker tells of each signal, and ends at TERM.
func countingWorker() {
	say := hold()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGTSTP)
	say("worker %d", os.Getpid())
	for sig := range signals {
		say("got %v", sig)
		if sig == syscall.SIGTERM {
			return
		}
	}
}

// floodingWorker writes to both streams as fast as they are read.
func floodingWorker() {
	say := hold()
	line := append(bytes.Repeat([]byte("x"), 4095), '\n')
	go func() { _, _ = io.Copy(os.Stderr, endless(line)) }()
	say("worker %d", os.Getpid())
	_, _ = io.Copy(os.Stdout, endless(line))
}

// endless reads as b, over and over.
type endless []byte

func (b endless) Read(p []byte) (int, error) { return copy(p, b), nil }

// orphaningWorker makes processes whose parent ends before them.
func orphaningWorker() {
	say := hold()
	for range 2 {
		script := `for i in 1 2 3 4 5 6 7 8 9 10; do setsid sh -c 'exit 7' & done`
		if err := exec.Command("sh", "-c", script).Run(); err != nil {
			panic(err)
		}
	}
	say("worker %d", os.Getpid())
	forever()
}

// shellWorker becomes a shell that runs a script.
func shellWorker() {
	hold()("worker %d", os.Getpid())
	err := syscall.Exec("/bin/sh", []string{"sh", "-c", os.Getenv("E2E_SCRIPT")}, os.Environ())
	panic(err)
}
