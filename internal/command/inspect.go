package command

import (
	"slices"
	"strconv"
	"strings"
)

// Inspect is where Node's inspector listens when a command line asks for it. Two processes cannot share its port, and one that finds it taken exits
// with code 12, so each worker needs a port of its own: Node's own primary does the same.
type Inspect struct {
	At   int `json:"at"`   // the word of argv before which --inspect-port=N belongs
	Port int `json:"port"` // the first
}

const defaultInspectPort = 9229

// FindInspect looks for the inspector in a command line of Node and in the value of NODE_OPTIONS. It is nil if nobody asked for it, or
// if the kernel shall pick the port.
func FindInspect(argv []string, options string) *Inspect {
	at := scriptAt(argv)
	port, asked := 0, false
	for _, word := range append(strings.Fields(options), argv[1:at]...) {
		name, value, _ := strings.Cut(word, "=")
		if !slices.Contains([]string{"--inspect", "--inspect-brk", "--inspect-wait", "--inspect-port", "--debug-port"}, name) {
			continue
		}
		asked = asked || !strings.HasSuffix(name, "-port")
		if value == "" {
			continue
		}
		n, err := strconv.Atoi(value[strings.LastIndexByte(value, ':')+1:])
		if err == nil {
			port = n
			if n == 0 {
				return nil
			}
		}
	}
	if !asked {
		return nil
	}
	if port == 0 {
		port = defaultInspectPort
	}
	return &Inspect{At: at, Port: port}
}

// scriptAt is the index of the script in a command line of Node, or of the "--" before it.
func scriptAt(argv []string) int {
	for i := 1; i < len(argv); i++ {
		switch {
		case argv[i] == "--" || !strings.HasPrefix(argv[i], "-"):
			return i
		case slices.Contains(valueOptions, argv[i]):
			i++
		}
	}
	return len(argv)
}
