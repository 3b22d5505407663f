package muster

import (
	"os"
	"strconv"
	"strings"
)

// Info describes this process as a worker.
type Info struct {
	Managed    bool   // somebody else started this process as a worker: it has a channel, inherited sockets or a notify socket
	App        string // name of the app, if muster is the master
	Slot       int    // stable seat of the worker, from 0; -1 if it has none
	ID         int    // never reused within the master's life; 0 if unknown
	Generation int    // version of the app's spec; 0 if unknown
	Spare      bool   // booted as a spare: side effects of the boot run in more processes than there are slots
}

// environment is what the variables said that are meant for this process and for none that it starts.
type environment struct {
	channelFD     string
	serialization string
	uniqueID      string
	listenFDs     string
	listenPID     string
	listenNames   string
	notifySocket  string
	watchdogUsec  string
	watchdogPID   string
	addresses     []string // MUSTER_LISTEN
	maxRequests   int      // MUSTER_MAX_REQUESTS; 0: none
}

// takeEnvironment reads the variables and removes them, also those it has no use for (LISTEN_PIDFDID would mislead a
// program started later with a LISTEN_PID of its own).
func takeEnvironment() environment {
	take("LISTEN_PIDFDID")
	return environment{
		channelFD:     take("NODE_CHANNEL_FD"),
		serialization: take("NODE_CHANNEL_SERIALIZATION_MODE"),
		uniqueID:      take("NODE_UNIQUE_ID"),
		listenFDs:     take("LISTEN_FDS"),
		listenPID:     take("LISTEN_PID"),
		listenNames:   take("LISTEN_FDNAMES"),
		notifySocket:  take("NOTIFY_SOCKET"),
		watchdogUsec:  take("WATCHDOG_USEC"),
		watchdogPID:   take("WATCHDOG_PID"),
		addresses:     strings.Fields(take("MUSTER_LISTEN")),
		maxRequests:   number(take("MUSTER_MAX_REQUESTS"), 0),
	}
}

func take(name string) string {
	v := os.Getenv(name)
	os.Unsetenv(name)
	return v
}

// readInfo reads what muster tells its workers about themselves, and Node's worker number where it does not.
func readInfo(env environment) Info {
	info := Info{
		App:        os.Getenv("MUSTER_APP"),
		Slot:       number(os.Getenv("MUSTER_SLOT"), -1),
		ID:         number(os.Getenv("MUSTER_ID"), 0),
		Generation: number(os.Getenv("MUSTER_GENERATION"), 0),
		Spare:      os.Getenv("MUSTER_SPARE") == "1",
	}
	if info.ID == 0 {
		info.ID = number(env.uniqueID, 0)
	}
	return info
}

func number(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return otherwise
	}
	return n
}
