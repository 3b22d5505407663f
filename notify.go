package muster

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// notifyPatience bounds a message to a manager that does not read.
const notifyPatience = 2 * time.Second

// notifier speaks systemd's notify protocol: datagrams of KEY=VALUE lines to the socket in NOTIFY_SOCKET.
// Every message opens the socket anew, so that a manager may be replaced.
type notifier struct {
	path     string        // "" if nobody listens
	watchdog time.Duration // how often the manager wants to hear from us; 0 if it does not
}

func newNotifier(env environment) *notifier {
	n := &notifier{}
	if strings.HasPrefix(env.notifySocket, "/") || strings.HasPrefix(env.notifySocket, "@") {
		n.path = env.notifySocket
	}
	if pid := number(env.watchdogPID, os.Getpid()); pid == os.Getpid() {
		n.watchdog = time.Duration(number(env.watchdogUsec, 0)) * time.Microsecond
	}
	return n
}

// send is best effort: a manager that is gone must not stop the worker.
func (n *notifier) send(message string) {
	if n.path == "" {
		return
	}
	if err := n.write(message); err != nil {
		fmt.Fprintf(os.Stderr, "muster: notify %s: %v\n", message, err)
	}
}

func (n *notifier) write(message string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(notifyPatience))
	_, err = c.Write([]byte(message))
	return err
}

// watch pings at once, and then at half the watchdog's time for as long as the process lives, each time when awaitAlive has returned. The
// ping comes from an ordinary goroutine: if the process is frozen or every processor is held, so is the ping.
func (n *notifier) watch(awaitAlive func()) {
	if n.path == "" || n.watchdog <= 0 {
		return
	}
	go func() {
		for tick := time.Tick(n.watchdog / 2); ; <-tick {
			awaitAlive()
			n.send("WATCHDOG=1")
		}
	}()
}
