package cli

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"

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
	formatFlag(cmd.Flags(), &d.spec)
	d.flags(cmd.Flags())
	return cmd
}

func (d *demoCommand) run() error {
	if len(d.spec.Listen) == 0 {
		d.spec.Listen = []string{d.freeAddress()}
	}
	address, err := demoAddress(d.spec.Listen[0])
	if err != nil {
		return err
	}
	d.guide(d.spec.Listen[0])
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find muster's own file: %w", err)
	}
	d.spec.Command = []string{self, demoWorker, address}
	return d.foreground(d.spec, "", false)
}

// freeAddress is port 3000, or another one if somebody else has that.
func (d *demoCommand) freeAddress() string {
	const usual = ":3000"
	l, err := net.Listen("tcp", usual)
	if err == nil {
		_ = l.Close()
		return usual
	}
	if l, err = net.Listen("tcp", ":0"); err != nil {
		return usual // the master says what is wrong
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Fprintf(d.stdout, "Port 3000 is taken: the demonstration is on port %s.\n", port)
	return ":" + port
}

// guide says what to try. Where the address is no port of this machine there is nothing to curl.
func (d *demoCommand) guide(line string) {
	l, err := app.ParseListener(line)
	if err != nil || l.Port == 0 {
		return
	}
	site := net.JoinHostPort(cmp.Or(l.Host, "localhost"), strconv.Itoa(l.Port))
	fmt.Fprintf(d.stdout, `
Try, in another terminal:
  curl %[1]s                     which worker answers
  curl %[1]s/crash               a worker crashes: its replacement starts before it is gone
  curl '%[1]s/block?ms=5000' &   a worker stands still: the others go on answering
  kill -9 PID                              with a pid of the first line: nobody has to wait for long
  %[2]s show, %[2]s reload, %[2]s scale +1, %[2]s upgrade
`, site, os.Args[0])
	const example = "examples/node/server.mjs"
	if _, err := os.Stat(example); err == nil && programExists("node") {
		fmt.Fprintf(d.stdout, "  %s run -l :3001 %s   the same for a Node program as it is\n", os.Args[0], example)
	}
	fmt.Fprint(d.stdout, "^C ends it.\n\n")
}

func programExists(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
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
