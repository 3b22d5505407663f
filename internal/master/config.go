package master

import (
	"os"

	"github.com/musterd/muster/internal/account"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
)

// Config is what a master needs to know: an App with everything resolved that depends on this machine.
type Config struct {
	App      app.App
	Workers  int              // number of slots
	CPUs     int              // that this process may use; boots at the same time unless the App says otherwise
	Handoff  app.Handoff      // never auto
	Argv     []string         // program and arguments, placeholders not yet expanded
	Path     string           // absolute file of the program
	Nonblock bool             // inherited sockets have O_NONBLOCK set
	Assign   []string         // NAME=value over Env, placeholders not yet expanded
	Env      []string         // of a worker, before the master's own variables; none of a manager above us
	Dir      string           // absolute working directory of the workers
	Kind     string           // KindNode, KindSDK or KindOther
	Inspect  *command.Inspect `json:",omitempty"` // of Node; each worker gets a port of its own
	Account  *account.Account `json:",omitempty"` // that workers run as; nil: that of the master
	CPUSet   []int            `json:",omitempty"` // CPUs that workers may run on; none: as the master
	SockUID  int              // who owns unix sockets; -1: the master
	SockGID  int              //

	Spec     app.Spec // as it was written
	HostEnv  []string // that Env was made of; nil: this process's
	Base     string   // absolute directory from which its relative names count
	FileForm bool     // its command may begin with a file that an interpreter runs
	Version  string   // of this program
	// Reload resolves the Spec of c again, as files and environment are now. Nil: a reload starts the same again.
	Reload func(c Config) (Config, error) `json:"-"`
	// Opened, unless nil, is called with the path of the control socket when everything is open that could have been refused. No worker has started.
	Opened func(socket string) `json:"-"`
	// Finish says that the app is to be stopped: the master is there for what one that was killed in the middle of that has left.
	Finish bool `json:"-"`

	// Given are sockets from a manager above, by the names of the listeners that they are. The master closes them.
	Given map[string]int `json:"-"`

	Stdout    *os.File `json:"-"` // of the workers' lines; stays open
	Stderr    *os.File `json:"-"` // of the master's log; stays open
	LogFormat string   // of the standard streams: text, json or raw
	LogDir    string   // folder of log files, if the App names none; empty: the standard streams
	Quiet     bool     // where there are log files, the master's records go to them alone
	Notes     []string `json:"-"` // what the user should know, for the log
	Color     bool
}

// Kinds of program.
const (
	KindNode  = "node"  // Node runs it
	KindSDK   = "sdk"   // a Go program built on the muster package
	KindOther = "other" // anything else
)

// speaksNode tells whether workers have a channel on which the primary of Node's cluster talks to them.
func (c Config) speaksNode() bool { return c.Handoff == app.HandoffNode }

// hasChannel tells whether workers have Node's channel at all.
func (c Config) hasChannel() bool { return c.speaksNode() || c.Handoff == app.HandoffMessage }

// nonblock tells whether the sockets are opened with O_NONBLOCK, which everybody sees who holds one: Node needs it set; who inherits expects
// it cleared, as from systemd, with few exceptions.
func (c Config) nonblock() bool { return c.hasChannel() || c.Nonblock }

// balance decides auto: one socket per slot where connections can be taken out of a slot again, else one queue for all.
func (c Config) balance() app.Balance {
	switch {
	case c.App.Balance != app.BalanceAuto && c.App.Balance != "":
		return c.App.Balance
	case c.speaksNode():
		return app.BalanceSlots
	default:
		return app.BalanceShared
	}
}
