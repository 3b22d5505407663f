package cli

import (
	"fmt"
	"net"
	"os"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/demo"
	"github.com/spf13/cobra"
)

// demoWorker is the command that makes this program the worker of the demonstration.
const demoWorker = "demo-worker"

type demoCommand struct {
	spec app.Spec
	output
}

func newDemo(stdout, stderr *os.File) *cobra.Command {
	d := &demoCommand{spec: app.Spec{Name: "demo"}, output: output{stdout: stdout, stderr: stderr}}
	cmd := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Run a small server to crash and block by hand",
		Long: `Run a small server to crash and block by hand. Its pages are:

  /             the worker that answers
  /crash        it crashes while it serves
  /exit?code=3  it ends at once
  /block?ms=3000, /slow?ms=3000
                it stands still, or takes its time`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return d.run() },
	}
	cmd.Flags().StringVarP(&d.spec.Workers, "workers", "i", "", "how many: `N`, max, 50% or -1 (default max)")
	listenFlag(cmd.Flags(), &d.spec)
	d.flags(cmd.Flags())
	return cmd
}

func (d *demoCommand) run() error {
	if len(d.spec.Listen) == 0 {
		d.spec.Listen = []string{":3000"}
	}
	address, err := demoAddress(d.spec.Listen[0])
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find muster's own file: %w", err)
	}
	d.spec.Command = []string{self, demoWorker, address}
	return d.foreground(d.spec, false)
}

// demoAddress returns where the worker has to listen: the port is known only when the listener is open.
func demoAddress(line string) (string, error) {
	l, err := app.ParseListener(line)
	if err != nil || l.Network == "unix" {
		return l.Address(), err
	}
	return net.JoinHostPort(l.Host, "{port}"), nil
}

func newDemoWorker() *cobra.Command {
	return &cobra.Command{
		Use:    demoWorker + " ADDR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return demo.Main(args[0]) },
	}
}
