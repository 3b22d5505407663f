// Command muster runs servers as many processes. See package cli for what it understands.
package main

import (
	"os"

	"github.com/musterd/muster/internal/cli"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// main becomes one of the hidden stages if it was started as such. Main lends the main thread: workers are started from there.
func main() {
	stage.Main()
	proc.GuardMain()
	os.Exit(proc.Main(cli.Main))
}
