package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	roles["web"] = webWorker
	roles["sickly"] = sicklyWorker
	roles["babbler"] = babblingWorker
	roles["dying"] = dyingWorker
	roles["quitter"] = quittingWorker
	roles["slow"] = slowWorker
	roles["barrier"] = barrierWorker
	roles["beating"] = beatingWorker
	roles["broken"] = brokenWorker
	roles["binary"] = binaryWorker
	roles["muted"] = mutedWorker
	roles["eater"] = eatingWorker
	roles["stray shell"] = func() { again("limb", &syscall.SysProcAttr{Setsid: true}); shellWorker() }
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

// serveHTTP serves the first inherited socket until TERM, answering with the process id, then ends in good order.
func serveHTTP(ready func()) {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "pid: %d\n", os.Getpid()) }
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { _ = server.Serve(l) }() // ends at Shutdown
	ready()
	<-stop
	_ = server.Shutdown(context.Background())
}

// webWorker serves.
func webWorker() {
	say := hold()
	serveHTTP(func() { say("worker %d slot %s", os.Getpid(), os.Getenv("MUSTER_SLOT")) })
}

// sicklyWorker dies at boot in slot 0, and serves in the others.
func sicklyWorker() {
	if os.Getenv("MUSTER_SLOT") == "0" {
		hold()("start %d", time.Now().UnixMicro())
		fmt.Fprintln(os.Stderr, "cannot find my database")
		os.Exit(7)
	}
	webWorker()
}

// notifier returns what sends a datagram to the notify socket, with descriptors.
func notifier() func(text string, fds ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	to := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	return func(text string, fds ...int) error {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		return unix.Sendmsg(fd, []byte(text), rights, to, 0)
	}
}

// onSignal returns a channel that gets the next such signals.
func onSignal(sig ...os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Notify(c, sig...)
	return c
}

// babblingWorker says everything that no manager wants to hear, then that it is ready, and does not stop.
func babblingWorker() {
	say, send := hold(), notifier()
	garbage := []string{
		"", "\n\n\n", "\x00", "READY", "=1", "READY=yes", "STATUS=\xff\xfe", "MAINPID=1", "MAINPID=-1", "MAINPID=99999999999999", "ERRNO=x",
		"WATCHDOG=x", "WATCHDOG_USEC=1", "EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=99999999999999999999", "FDSTORE=1", "FDNAME=\x01",
		"BARRIER=1\nREADY=0", "RELOADING=1", strings.Repeat("A", 3000), strings.Repeat("X=1\n", 700), strings.Repeat("\xf0\x9f", 2000),
	}
	for _, text := range garbage {
		_ = send(text) // the kernel refuses what is longer than its buffers
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	for range 100 {
		_ = send("FDSTORE=1\nFDNAME=x", 0, 1, 2, int(null.Fd()))
	}
	if err := send("READY=1"); err != nil {
		panic(err)
	}
	say("worker %d", os.Getpid())
	for i := 0; ; i++ {
		_ = send(garbage[i%len(garbage)])
		_ = send(fmt.Sprintf("STATUS=%d", i))
	}
}

// dyingWorker announces its end at USR1, and ends when it is told to.
func dyingWorker() {
	say, send := hold(), notifier()
	stop, die := onSignal(syscall.SIGTERM), onSignal(syscall.SIGUSR1)
	say("worker %d", os.Getpid())
	_ = send("READY=1")
	for {
		select {
		case <-die:
			_ = send("STOPPING=1")
		case <-stop:
			say("told to go %d", os.Getpid())
			return
		}
	}
}

// quittingWorker announces its end and ends in the same breath, without an error.
func quittingWorker() {
	send := notifier()
	hold()("worker %d", os.Getpid())
	_ = send("READY=1")
	_ = send("STATUS=gone")
	_ = send("STOPPING=1")
}

// slowWorker asks for more time to start, and to end.
func slowWorker() {
	say, send := hold(), notifier()
	stop := onSignal(syscall.SIGTERM)
	_ = send("EXTEND_TIMEOUT_USEC=3600000000")
	say("worker %d", os.Getpid())
	<-time.After(slowness)
	_ = send("READY=1\nSTATUS=late but here")
	<-stop
	_ = send("STOPPING=1\nEXTEND_TIMEOUT_USEC=3600000000")
	<-time.After(slowness)
	say("finished")
}

// slowness is longer than the timeouts that a slowWorker is given.
const slowness = 4 * time.Second

// barrierWorker waits until everything that it sent has been taken.
func barrierWorker() {
	say, send := hold(), notifier()
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	_ = send("READY=1")
	if err := send("BARRIER=1", int(w.Fd())); err != nil {
		panic(err)
	}
	_ = w.Close()
	_, err = r.Read(make([]byte, 1))
	say("barrier %v", err)
	forever()
}

// beatingWorker gives a sign of life and then none any more.
func beatingWorker() {
	say, send := hold(), notifier()
	_ = send("READY=1\nWATCHDOG_USEC=50000\nWATCHDOG=1\nMAINPID=1")
	<-time.After(2 * time.Second)
	say("still here %d", os.Getpid())
	forever()
}

// brokenWorker finds out at USR1 that it is broken, and says so.
func brokenWorker() {
	say, send := hold(), notifier()
	found := onSignal(syscall.SIGUSR1)
	_ = send("READY=1")
	say("worker %d", os.Getpid())
	<-found
	_ = send("WATCHDOG=trigger")
	forever()
}

// binaryWorker writes what is no text, and no line, and a line after it.
func binaryWorker() {
	say := hold()
	for seed := byte(1); seed < 250; seed++ {
		block := make([]byte, 1<<14)
		for i := range block {
			if block[i] = byte(i)*seed ^ byte(i>>8); block[i] == '\n' {
				block[i] = 0
			}
		}
		_, _ = os.Stdout.Write(block)
	}
	_, _ = os.Stdout.WriteString("\nthe end\n")
	say("worker %d", os.Getpid())
	forever()
}

// mutedWorker closes its standard streams and serves on.
func mutedWorker() {
	_, _, _ = os.Stdin.Close(), os.Stdout.Close(), os.Stderr.Close()
	webWorker()
}

// eatingWorker takes more and more memory.
func eatingWorker() {
	hold()("worker %d", os.Getpid())
	for all := [][]byte{}; ; all = append(all, bytes.Repeat([]byte{byte(len(all))}, 8<<20)) {
	}
}
