// Package app holds the nouns of the domain: what a user starts by name, validated on construction.
// It does no I/O and reads no clock.
package app

import "github.com/musterd/muster/internal/schedule"

// Handoff names the way in which a worker gets its sockets.
type Handoff string

// The ways to hand sockets to a worker.
const (
	HandoffAuto    Handoff = "auto"    // node for a Node program or a worker built on the SDK, else inherit where there are listeners, else none
	HandoffInherit Handoff = "inherit" // file descriptors from 3 with LISTEN_FDS
	HandoffNode    Handoff = "node"    // the master is the primary of Node's cluster
	HandoffMessage Handoff = "message" // a net.Server handle sent with a message over Node's channel
	HandoffNone    Handoff = "none"    // no sockets
)

// Balance names the way in which connections are spread over the workers.
type Balance string

// The ways to spread connections.
const (
	BalanceAuto   Balance = "auto"   // slots where a blocked worker's connections can be rescued, else shared
	BalanceSlots  Balance = "slots"  // one SO_REUSEPORT socket per slot
	BalanceShared Balance = "shared" // one queue, any worker takes the next
	BalanceSticky Balance = "sticky" // slots, and a client keeps its slot by its source address
)

// ReadyKind names the sense by which the master learns that a worker serves.
type ReadyKind string

// The senses of readiness.
const (
	ReadyAuto    ReadyKind = "auto"    // what the hand-off gives: listening, the acknowledged handle, the accept queue, or READY=1 where none of these can be
	ReadyMessage ReadyKind = "message" // the message "ready" on the channel
	ReadyNotify  ReadyKind = "notify"  // READY=1 on the notify socket
	ReadyTCP     ReadyKind = "tcp"     // the worker takes a connection from its listener
	ReadyStart   ReadyKind = "start"   // the moment the program runs
)

// Ready is a sense of readiness.
type Ready struct {
	Kind ReadyKind `json:"kind"`
}

// HealthKind names the way in which a worker that serves is checked.
type HealthKind string

// The ways to check a worker.
const (
	HealthNone HealthKind = ""     // not at all
	HealthHTTP HealthKind = "http" // GET of a path, answered with a status below 400
	HealthTCP  HealthKind = "tcp"  // a connection that is accepted
)

// Health says how a worker that serves is checked.
type Health struct {
	Kind HealthKind `json:"kind,omitempty"`
	Path string     `json:"path,omitempty"` // of http
}

// Spec is what a user writes: the flags of `muster run`, an entry of a config file and the body of an API request are all this struct.
// Its zero value is completed by New.
type Spec struct {
	Name              string            `json:"name,omitempty"`
	Command           []string          `json:"command"`                   // program and arguments, or a file that an interpreter runs
	Workers           string            `json:"workers,omitempty"`         // N, "max", "50%" or "-1"
	Listen            []string          `json:"listen,omitempty"`          // ":3000", "tcp://[::1]:3000", "unix:/run/x.sock", "udp://:53", "name=:3000"
	Handoff           Handoff           `json:"handoff,omitempty"`         // default auto
	HandoffMessage    string            `json:"handoff_message,omitempty"` // default "server"
	Balance           Balance           `json:"balance,omitempty"`         // default auto
	Ready             string            `json:"ready,omitempty"`           // auto, message, notify, tcp, start
	StartTimeout      Duration          `json:"start_timeout,omitempty"`   // default 30s
	StopTimeout       Duration          `json:"stop_timeout,omitempty"`    // default 10s
	StopSignal        string            `json:"stop_signal,omitempty"`     // default TERM
	StopMessage       string            `json:"stop_message,omitempty"`    // sent on Node's channel before the stop signal, as PM2's "shutdown"
	Env               map[string]string `json:"env,omitempty"`
	EnvFile           []string          `json:"env_file,omitempty"`
	EnvDrop           []string          `json:"env_drop,omitempty"` // patterns of variables that workers do not get of who starts them; PATH they always do
	Cwd               string            `json:"cwd,omitempty"`
	MaxRestarts       *int              `json:"max_restarts,omitempty"`        // nil: never give up
	MinUptime         Duration          `json:"min_uptime,omitempty"`          // default 1s
	MaxStarting       int               `json:"max_starting,omitempty"`        // 0: the CPUs this process may use
	InstanceVar       string            `json:"instance_var,omitempty"`        // names, separated by commas; default NODE_APP_INSTANCE
	Singleton         bool              `json:"singleton,omitempty"`           // one worker, and never two at a time, not even during a reload
	Spares            int               `json:"spares,omitempty"`              // booted workers that wait for a slot
	Surge             int               `json:"surge,omitempty"`               // workers above the wanted number during a reload; default 1
	ReloadSettle      Duration          `json:"reload_settle,omitempty"`       // how long the first new worker of a reload serves before the others follow; default 1s
	RetireOver        Duration          `json:"retire_over,omitempty"`         // window over which a reload spreads the draining of old workers; default: at once
	DrainTimeout      Duration          `json:"drain_timeout,omitempty"`       // of a worker that a successor has replaced, or whose slot goes; default stop_timeout
	HangTimeout       Duration          `json:"hang_timeout,omitempty"`        // a worker that gives no sign where one is due for so long is replaced; default: never
	MaxAge            Duration          `json:"max_age,omitempty"`             // a worker that has served for so long is recycled; default: never
	MaxMemory         Size              `json:"max_memory,omitempty"`          // a worker whose processes use so much is recycled when it is its turn
	MaxMemoryHard     Size              `json:"max_memory_hard,omitempty"`     // the same, at once
	MaxRequests       int               `json:"max_requests,omitempty"`        // a worker (of Node, or on the SDK) that has accepted so many connections is recycled
	MaxOldGenerations int               `json:"max_old_generations,omitempty"` // that may finish beside the newest at a time; default 3
	Health            string            `json:"health,omitempty"`              // http:/path or tcp; default: none
	HealthTimeout     Duration          `json:"health_timeout,omitempty"`      // of one check; default 5s

	DependsOn Dependencies `json:"depends_on,omitempty"` // apps that must have come so far before this one starts

	User        string            `json:"user,omitempty"`          // that workers run as, a name or a number; default: that of the master
	Group       string            `json:"group,omitempty"`         // default: those of the user
	Umask       string            `json:"umask,omitempty"`         // octal; default: that of the master
	Nice        *int              `json:"nice,omitempty"`          // -20 to 19
	Limits      map[string]string `json:"limits,omitempty"`        // "nofile" and others: "1024", "1024:4096" or "unlimited"
	CPUs        string            `json:"cpus,omitempty"`          // that workers may run on, as "0-3,6"; default: those of the master
	CPUAffinity Affinity          `json:"cpu_affinity,omitempty"`  // all, or spread: each slot has one of them; default all
	OOMScoreAdj *int              `json:"oom_score_adj,omitempty"` // -1000 to 1000
	NoNewPrivs  bool              `json:"no_new_privs,omitempty"`  // no program that a worker starts gets more privileges

	WorkerLimits   map[string]string `json:"worker_limits,omitempty"`   // memory, cpu and tasks of a worker with all that it starts
	AppLimits      map[string]string `json:"app_limits,omitempty"`      // the same of all workers together
	LimitsRequired bool              `json:"limits_required,omitempty"` // what the machine refuses of the limits is an error; default: a warning

	ListenMode  string `json:"listen_mode,omitempty"`  // of unix sockets, octal; default: what the umask of the master leaves
	ListenOwner string `json:"listen_owner,omitempty"` // of unix sockets; default: the user of the master
	ListenGroup string `json:"listen_group,omitempty"` // of unix sockets

	Job          bool     `json:"job,omitempty"`           // it runs to its end, with no workers else; without a schedule once
	Schedule     string   `json:"schedule,omitempty"`      // of a job: when it runs, as cron writes it
	ReloadAt     string   `json:"reload_at,omitempty"`     // when the app is reloaded, as cron writes it
	TimeZone     string   `json:"time_zone,omitempty"`     // of both; default: the local one
	CatchUp      Duration `json:"catch_up,omitempty"`      // what is due runs so late at most; default 1m
	Overlap      Overlap  `json:"overlap,omitempty"`       // a run that is due during another: skip, queue, replace; default skip
	JobTimeout   Duration `json:"job_timeout,omitempty"`   // of a run; default: none
	Watch        []string `json:"watch,omitempty"`         // files and folders whose change reloads the app
	WatchIgnore  []string `json:"watch_ignore,omitempty"`  // patterns of what does not count
	WatchDelay   Duration `json:"watch_delay,omitempty"`   // without a change before the reload; default 200ms
	BeforeReload string   `json:"before_reload,omitempty"` // command of a shell; if it fails there is no reload
	AfterReload  string   `json:"after_reload,omitempty"`  // command of a shell
	HookTimeout  Duration `json:"hook_timeout,omitempty"`  // of such a command; default 5m

	LogDir         string    `json:"log_dir,omitempty"`          // folder of log files; default: none, lines go to the standard streams
	LogFiles       LogFiles  `json:"log_files,omitempty"`        // in that folder: app, stream or worker; default app
	LogOut         string    `json:"log_out,omitempty"`          // file of stdout, wherever the folder is
	LogErr         string    `json:"log_err,omitempty"`          // file of stderr
	LogFormat      LogFormat `json:"log_format,omitempty"`       // text, json or raw; default text
	LogTimestamps  *bool     `json:"log_timestamps,omitempty"`   // of text; default: in files
	LogRotate      *bool     `json:"log_rotate,omitempty"`       // default true; false leaves it to somebody else, who sends USR1
	LogMaxSize     Size      `json:"log_max_size,omitempty"`     // a file that would grow beyond is put aside; default 10M
	LogRotateEvery Duration  `json:"log_rotate_every,omitempty"` // and one that is so old; default 7d
	LogKeep        int       `json:"log_keep,omitempty"`         // how many that were put aside are kept of each file; default 10
	LogMaxAge      Duration  `json:"log_max_age,omitempty"`      // and for how long; default 30d
	LogCompress    *bool     `json:"log_compress,omitempty"`     // with gzip; default true
}

// Listener is a named address of the app.
type Listener struct {
	Name    string `json:"name"`           // LISTEN_FDNAMES; unique within the app
	Network string `json:"network"`        // tcp, tcp4, tcp6, unix, udp, udp4 or udp6; tcp and udp are dual-stack
	Host    string `json:"host,omitempty"` // an IP literal, or empty for any address
	Port    int    `json:"port"`           // 0: the kernel picks one
	Path    string `json:"path,omitempty"` // unix only, absolute
}

// App is a validated Spec. Its slices and maps must not be modified.
type App struct {
	Spec
	Listeners []Listener
	ReadyBy   Ready
	HealthBy  Health
	Signal    string // canonical name of StopSignal, as SIGTERM

	Rlimits    []Rlimit    `json:",omitempty"` // Limits, by name
	PerWorker  GroupLimits // WorkerLimits
	Together   GroupLimits // AppLimits
	UmaskBits  *int        `json:",omitempty"`
	CPUSet     []int       `json:",omitempty"` // CPUs, in order
	ListenBits *int        `json:",omitempty"` // ListenMode

	RunAt    *schedule.Schedule `json:",omitempty"` // of a job; nil: once
	ReloadBy *schedule.Schedule `json:",omitempty"` // nil: by hand
}
