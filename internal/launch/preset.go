package launch

import (
	"path"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// preset is what is known of a program by its name.
type preset struct {
	stopSignal string // that lets it finish what it has; empty: TERM
	nonblock   bool   // it waits for connections by events and accepts without looking again, but leaves an inherited socket as it is
}

var presets = map[string]preset{
	"nginx":     {stopSignal: "QUIT", nonblock: true},
	"openresty": {stopSignal: "QUIT", nonblock: true},
	"php-fpm":   {stopSignal: "QUIT"},
	"unicorn":   {stopSignal: "QUIT"},
	"haproxy":   {stopSignal: "USR1"},
}

// presetOf finds a program under versioned names too, as php-fpm8.2.
func presetOf(file string) preset {
	return presets[strings.TrimRight(path.Base(file), "0123456789.")]
}

// fill completes an app where its user said nothing.
func (p preset) fill(a *app.App, spec app.Spec) error {
	if p.stopSignal == "" || spec.StopSignal != "" {
		return nil
	}
	var err error
	a.StopSignal = p.stopSignal
	a.Signal, err = app.ParseSignal(p.stopSignal)
	return err
}
