package app

import (
	"slices"
	"strings"
)

// stopSignals are the signals that may ask a worker to stop. STOP, TSTP and CONT are absent: they end nothing.
var stopSignals = []string{
	"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGABRT", "SIGALRM",
	"SIGPIPE", "SIGTTIN", "SIGTTOU", "SIGWINCH", "SIGURG", "SIGIO", "SIGPWR", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGXFSZ",
}

// signalNumbers are the numbers that mean the same signal on every Unix.
var signalNumbers = map[string]string{
	"1": "SIGHUP", "2": "SIGINT", "3": "SIGQUIT", "6": "SIGABRT", "9": "SIGKILL", "14": "SIGALRM", "15": "SIGTERM",
}

// ParseSignal returns the canonical name of a signal that can stop a worker: "TERM", "sigterm" and "15" are "SIGTERM".
func ParseSignal(text string) (string, error) {
	name, known := signalNumbers[text]
	if !known {
		name = "SIG" + strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "SIG")
	}
	if slices.Contains(stopSignals, name) {
		return name, nil
	}
	return "", invalid("stop_signal", text, signalReason(name), signalHint(name))
}

func signalReason(name string) string {
	switch name {
	case "SIGSTOP", "SIGTSTP", "SIGCONT":
		return "does not ask a program to stop"
	}
	return "is not the name of a signal"
}

func signalHint(name string) string {
	short := make([]string, len(stopSignals))
	for i, s := range stopSignals {
		short[i] = strings.TrimPrefix(s, "SIG")
	}
	if near, ok := Nearest(strings.TrimPrefix(name, "SIG"), short); ok {
		return "did you mean " + near + "?"
	}
	return "most programs stop on TERM; some want INT, QUIT, USR1, USR2 or WINCH"
}
