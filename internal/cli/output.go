package cli

import (
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// output is how a master in the foreground writes.
type output struct {
	format  string
	noColor bool
	stdout  *os.File
	stderr  *os.File
}

func (o *output) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.noColor, "no-color", false, "write no colors, not even to a terminal")
}

// color tells whether the worker's lines get colors: on a terminal that has them, unless the user does not want any (no-color.org).
func (o *output) color() bool {
	if o.noColor || o.format != "text" || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return isTerminal(o.stdout)
}

func isTerminal(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = raw.Control(func(fd uintptr) { terminal = term.IsTerminal(int(fd)) })
	return err == nil && terminal
}
