package archtest

import (
	"slices"
	"strings"
)

// module is the path of this module.
const module = "github.com/musterd/muster"

// rule says what one package may import, directly and outside of tests. What is not listed is forbidden.
type rule struct {
	own     []string // packages of this module, below its root; "." is the root
	modules []string // other modules
	std     []string // nil: the whole standard library
}

// pure is the part of the standard library that does no I/O; see also impure.
var pure = []string{
	"bytes", "cmp", "encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "iter",
	"maps", "math", "math/bits", "math/rand/v2", "net/netip", "net/url", "path", "path/filepath", "regexp", "slices", "sort", "strconv",
	"strings", "text/scanner", "time", "unicode", "unicode/utf8",
}

const (
	cobra    = "github.com/spf13/cobra"
	pflag    = "github.com/spf13/pflag"
	sys      = "golang.org/x/sys"
	term     = "golang.org/x/term"
	xsync    = "golang.org/x/sync"
	fsnotify = "github.com/fsnotify/fsnotify"
	ebpf     = "github.com/cilium/ebpf"
	yaml     = "go.yaml.in/yaml/v3"
)

// rules has one entry per package. The root is the SDK: whoever imports it gets nothing but the standard library.
var rules = map[string]rule{
	".":          {},
	"api":        {own: []string{"internal/app"}},
	"client":     {own: []string{"api"}},
	"cmd/muster": {own: []string{"internal/cli", "internal/proc", "internal/stage"}},

	"internal/apiserver": {own: []string{"api", "internal/app", "internal/envfile", "internal/secret"}, modules: []string{sys}},
	"internal/app":       {own: []string{"internal/schedule"}, std: append([]string{"net"}, pure...)},
	"internal/lifecycle": {std: pure},
	"internal/secret":    {std: append([]string{"reflect"}, pure...)},
	"internal/schedule":  {std: append([]string{"time/tzdata"}, pure...)},
	"internal/order":     {own: []string{"internal/app"}, std: pure},
	"internal/notify":    {std: append([]string{"net", "os", "syscall", "context", "sync", "io"}, pure...), modules: []string{sys}},

	"internal/account":   {own: []string{"internal/app"}, modules: []string{sys}},
	"internal/command":   {own: []string{"internal/app"}},
	"internal/config":    {own: []string{"internal/app", "internal/command", "internal/envfile", "internal/order"}, modules: []string{yaml}},
	"internal/cgroup":    {modules: []string{sys}},
	"internal/cpus":      {modules: []string{sys}},
	"internal/envfile":   {},
	"internal/inspector": {},
	"internal/fdpass":    {modules: []string{sys}},
	"internal/fdstore":   {own: []string{"internal/fdpass", "internal/notify", "internal/sock"}, modules: []string{sys}},
	"internal/launch":    {own: []string{"internal/account", "internal/app", "internal/command", "internal/envfile", "internal/notify"}},
	"internal/logs":      {modules: []string{sys, term}},
	"internal/logread":   {own: []string{"internal/logs"}, modules: []string{fsnotify}},
	"internal/nodeipc":   {modules: []string{sys}},
	"internal/proc":      {own: []string{"internal/cgroup", "internal/fdpass", "internal/stage"}, modules: []string{sys}},
	"internal/pulse":     {modules: []string{sys}},
	"internal/rundir":    {modules: []string{sys}},
	"internal/sock":      {own: []string{"internal/app", "internal/fdpass"}, modules: []string{sys, ebpf}},
	"internal/stage":     {own: []string{"internal/fdpass", "internal/notify"}, modules: []string{sys}},
	"internal/stats":     {own: []string{"api", "internal/app", "internal/proc"}},
	"internal/watch":     {modules: []string{fsnotify}},
	"internal/render":    {own: []string{"api", "internal/app"}, modules: []string{term}},
	"internal/testutil":  {modules: []string{sys, "go.uber.org/goleak"}},

	"internal/testutil/load": {},
	"internal/archtest":      {},
	"internal/e2e":           {},

	"internal/master": {
		own: []string{
			"api", "internal/account", "internal/apiserver", "internal/app", "internal/cgroup", "internal/command", "internal/cpus", "internal/envfile", "internal/fdpass", "internal/fdstore", "internal/inspector", "internal/lifecycle",
			"internal/logs", "internal/nodeipc", "internal/notify", "internal/proc", "internal/pulse", "internal/rundir", "internal/schedule",
			"internal/sock", "internal/stage", "internal/stats", "internal/watch",
		},
		modules: []string{sys, xsync},
	},
	"internal/daemon": {
		own: []string{
			"api", "client", "internal/apiserver", "internal/app", "internal/daemon/web", "internal/envfile", "internal/fdpass",
			"internal/fdstore", "internal/logs", "internal/notify", "internal/order", "internal/proc", "internal/rundir", "internal/stage", "internal/stats",
		},
		modules: []string{sys, xsync},
	},
	"internal/daemon/web": {own: []string{"api", "client"}},
	"internal/demo":       {own: []string{"."}},
	"internal/cli": {
		own: []string{
			"api", "client", "internal/apiserver", "internal/app", "internal/config", "internal/cpus", "internal/daemon", "internal/demo", "internal/envfile",
			"internal/launch", "internal/logread", "internal/logs", "internal/master", "internal/notify", "internal/order", "internal/render", "internal/rundir",
			"internal/sock", "internal/stage",
		},
		modules: []string{cobra, pflag, sys, term},
	},

	"bench":       {own: []string{".", "api", "internal/demo", "internal/logs", "internal/testutil", "internal/testutil/load"}, modules: []string{sys}},
	"examples":    {},
	"examples/go": {own: []string{"."}},
}

// never are packages that must not be reached from others, however long the way.
var never = []struct {
	from []string
	to   []string
	why  string
}{
	{
		from: []string{"internal/inspector", "internal/nodeipc", "internal/sock", "internal/proc", "internal/pulse", "internal/stage", "internal/logs"},
		to:   []string{module + "/internal/master", module + "/internal/cli", module + "/internal/daemon"},
		why:  "mechanisms do not know who uses them",
	},
	{
		from: []string{"internal/master"},
		to:   []string{module + "/internal/cli", module + "/internal/daemon", cobra},
		why:  "a master costs memory once per app",
	},
	{
		from: []string{"internal/daemon"},
		to:   []string{module + "/internal/cli", module + "/internal/master"},
		why:  "daemon and master meet only in api and notify",
	},
	{
		from: []string{"."},
		to:   []string{module + "/"},
		why:  "the SDK is what its users link",
	},
}

// told are the packages that are told the time and do no I/O, though they import packages that could.
var told = []string{"internal/app", "internal/lifecycle", "internal/order", "internal/schedule"}

// impure tells whether a function of the standard library reads a clock, starts a timer or does I/O, for packages that are in pure or
// are allowed to told packages.
func impure(pkg, name string) bool {
	switch pkg {
	case "time":
		return slices.Contains([]string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}, name)
	case "net":
		return !slices.Contains([]string{"SplitHostPort", "JoinHostPort"}, name)
	case "filepath":
		return slices.Contains([]string{"Abs", "EvalSymlinks", "Glob", "Walk", "WalkDir"}, name)
	case "fmt":
		return strings.HasPrefix(name, "Print") || strings.HasPrefix(name, "Scan")
	}
	return false
}

// maxModules is the budget of direct dependencies, those of tests included.
const maxModules = 16
