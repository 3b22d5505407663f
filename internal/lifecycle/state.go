package lifecycle

import (
	"slices"
	"time"
)

// WorkerID names one process for ever: it is never reused within an app.
type WorkerID uint64

// Generation counts the versions of an app's spec, from 1.
type Generation uint64

// NoSlot is the slot of a spare.
const NoSlot = -1

// Phase is where a worker stands in its life.
type Phase string

// The phases of a worker. An exit removes it.
const (
	Starting Phase = "starting" // spawned or about to be, not yet serving
	Waiting  Phase = "waiting"  // a booted spare
	Serving  Phase = "serving"
	Draining Phase = "draining" // on its way out, may finish what it has
	Killing  Phase = "killing"  // SIGKILL was sent
)

// Reason says why a worker is on its way out.
type Reason string

// The reasons for which a worker leaves. All but Died, TimedOut and Hung mean that its exit is no failure.
const (
	ReasonNone       Reason = ""
	ReasonStop       Reason = "stop"       // the app stops
	ReasonScale      Reason = "scale"      // its slot goes
	ReasonSuperseded Reason = "superseded" // a newer worker serves in its slot
	ReasonAbandoned  Reason = "abandoned"  // its generation was given up before it was committed
	ReasonLost       Reason = "lost"       // the master ended before it served
	ReasonDying      Reason = "dying"      // it said so itself
	ReasonTimedOut   Reason = "not ready"  // it was not ready within the start timeout
	ReasonHung       Reason = "hung"       // it served nobody for the hang timeout
	ReasonOverdue    Reason = "timed out"  // the run of its job took too long
	ReasonReplaced   Reason = "replaced"   // the next run of its job takes its place
	ReasonRecycled   Reason = "recycled"   // a fresh worker of its generation serves in its slot, for Worker.RecycleAs
)

// Policy is what the app's owner chose. Zero fields take the defaults of WithDefaults.
type Policy struct {
	StartTimeout   time.Duration `json:"start_timeout"` // from spawn to ready
	StopTimeout    time.Duration `json:"stop_timeout"`  // from drain to kill
	DrainTimeout   time.Duration `json:"drain_timeout"` // the same for a worker that a successor has replaced, or whose slot goes; zero: StopTimeout
	MinUptime      time.Duration `json:"min_uptime"`    // a worker that lived this long after it was ready is replaced at once
	BackoffMin     time.Duration `json:"backoff_min"`   // first delay after a failure
	BackoffMax     time.Duration `json:"backoff_max"`   // ceiling
	MaxStarting    int           `json:"max_starting"`  // boots at the same time
	GiveUpAfter    int           `json:"give_up_after"` // consecutive failures of a slot at which it is given up; zero: never
	Surge          int           `json:"surge"`         // workers above the wanted number during a reload
	Spares         int           `json:"spares"`
	Singleton      bool          `json:"singleton,omitempty"`       // no two workers live at a time, whatever happens
	Settle         time.Duration `json:"settle"`                    // how long a canary serves before its generation is committed
	RetireOver     time.Duration `json:"retire_over"`               // window over which a reload spreads the draining of old workers
	HangTimeout    time.Duration `json:"hang_timeout"`              // zero: a silent worker is never killed
	MaxAge         time.Duration `json:"max_age,omitempty"`         // a worker that has served for so long is recycled; zero: never
	OldGenerations int           `json:"old_generations,omitempty"` // that may finish beside the newest at a time; zero: DefaultOldGenerations
	Failures       int           `json:"failures"`                  // failures per slot within Window past which the whole app backs off
	Window         time.Duration `json:"window"`
	Job            *JobPolicy    `json:"job,omitempty"` // nil: the app serves
}

// Defaults of a Policy.
const (
	DefaultStartTimeout   = 30 * time.Second
	DefaultStopTimeout    = 10 * time.Second
	DefaultMinUptime      = time.Second
	DefaultBackoffMin     = 100 * time.Millisecond
	DefaultBackoffMax     = 15 * time.Second
	DefaultFailures       = 10
	DefaultOldGenerations = 3
	DefaultWindow         = 30 * time.Second
	crashLoopFailures     = 5 // consecutive failures at which a slot is called crash-looping
	rollFailures          = 3 // failed boots of a committed generation in one slot that end its reload
)

// WithDefaults returns p with its zero fields filled in.
func (p Policy) WithDefaults() Policy {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&p.StartTimeout, DefaultStartTimeout)
	set(&p.StopTimeout, DefaultStopTimeout)
	set(&p.DrainTimeout, p.StopTimeout)
	set(&p.MinUptime, DefaultMinUptime)
	set(&p.BackoffMin, DefaultBackoffMin)
	set(&p.BackoffMax, DefaultBackoffMax)
	set(&p.Window, DefaultWindow)
	p.BackoffMax = max(p.BackoffMax, p.BackoffMin)
	p.MaxStarting = max(p.MaxStarting, 1)
	p.Surge = max(p.Surge, 1)
	p.Spares = max(p.Spares, 0)
	if p.OldGenerations <= 0 {
		p.OldGenerations = DefaultOldGenerations
	}
	if p.Failures <= 0 {
		p.Failures = DefaultFailures
	}
	return p
}

// Worker is one process, from the decision to spawn it to its exit.
type Worker struct {
	ID        WorkerID   `json:"id"`
	Slot      int        `json:"slot"` // NoSlot: a spare
	Gen       Generation `json:"gen"`
	Phase     Phase      `json:"phase"`
	Reason    Reason     `json:"reason,omitempty"`
	Spawned   bool       `json:"spawned,omitempty"` // its process exists
	Served    bool       `json:"served,omitempty"`  // it was ready once
	Promoted  bool       `json:"promoted,omitempty"`
	ReadyAt   time.Time  `json:"ready_at,omitzero"`
	StartBy   time.Time  `json:"start_by,omitzero"`    // must be ready
	StableAt  time.Time  `json:"stable_at,omitzero"`   // its slot's failures are forgiven
	DrainAt   time.Time  `json:"drain_at,omitzero"`    // is told to drain, a successor serves already
	TermAt    time.Time  `json:"term_at,omitzero"`     // a drain by message is followed by the stop signal
	KillAt    time.Time  `json:"kill_at,omitzero"`     // is killed
	HungAt    time.Time  `json:"hung_at,omitzero"`     // has left its connections waiting for the hang timeout
	Beats     bool       `json:"beats,omitempty"`      // it gives signs of life by itself
	BeatBy    time.Time  `json:"beat_by,omitzero"`     // has given no sign of life for the hang timeout
	PongBy    time.Time  `json:"pong_by,omitzero"`     // has owed an answer for the hang timeout
	LookedAt  time.Time  `json:"looked_at,omitzero"`   // was looked at because of one of these, which is not answered yet
	Hang      string     `json:"hang,omitempty"`       // how it was seen to be hung
	EndBy     time.Time  `json:"end_by,omitzero"`      // the run of its job must be over
	Work      int64      `json:"work,omitempty"`       // how much it had to do when that was measured last
	Ails      string     `json:"ails,omitempty"`       // why it has not passed its health check so far
	RecycleAt time.Time  `json:"recycle_at,omitzero"`  // has served for the maximal age
	RecycleAs string     `json:"recycle_as,omitempty"` // why it shall be replaced by a fresh one
	Urgent    bool       `json:"urgent,omitempty"`     // does not wait for the recycling token
	Spread    float64    `json:"spread,omitempty"`     // of its own limits of recycling: so much more or less, as a part of one
}

// Leaving tells whether the worker is on its way out.
func (w *Worker) Leaving() bool { return w.Phase == Draining || w.Phase == Killing }

// Slot is a stable seat: what outlives its occupants.
type Slot struct {
	Failures  int       `json:"failures,omitempty"` // consecutive
	NextSpawn time.Time `json:"next_spawn,omitzero"`
	Respawns  int       `json:"respawns,omitempty"`
	Hangs     int       `json:"hangs,omitempty"` // workers that were hung
	GaveUp    bool      `json:"gave_up,omitempty"`
}

// State is everything that the core knows about an app. It is plain data: a copy through JSON is the same state.
type State struct {
	Policy   Policy     `json:"policy"`
	Want     int        `json:"want"`     // slots that shall be served
	Gen      Generation `json:"gen"`      // the last good generation
	LastGen  Generation `json:"last_gen"` // the highest ever given
	NextID   WorkerID   `json:"next_id"`
	Slots    []Slot     `json:"slots"`   // may be more than Want while the last ones empty
	Workers  []Worker   `json:"workers"` // by ID, ascending
	Stopping bool       `json:"stopping,omitempty"`
	Ended    bool       `json:"ended,omitempty"` // Stopped or AppGaveUp was announced
	Rollout  *Rollout   `json:"rollout,omitempty"`
	Recycled WorkerID   `json:"recycled,omitempty"` // the worker that holds the recycling token
	Seed     uint64     `json:"seed"`               // of the jitter
	Wake     time.Time  `json:"wake,omitzero"`      // when the plan may have more to do although nothing happens

	Job Job `json:"job,omitzero"`

	Intensity   float64   `json:"intensity,omitempty"` // failures of the whole app, decaying over Policy.Window
	IntensityAt time.Time `json:"intensity_at,omitzero"`
	HoldUntil   time.Time `json:"hold_until,omitzero"` // no slot that failed is served before
	SpareNext   time.Time `json:"spare_next,omitzero"`
	SpareFailed int       `json:"spare_failed,omitempty"`
}

// New returns the state of an app with want slots and no workers. The first Step starts them.
func New(p Policy, want int, seed uint64) *State {
	return &State{
		Policy: p.WithDefaults(), Want: want, Gen: 1, LastGen: 1, NextID: 1, Slots: make([]Slot, want), Seed: seed | 1,
	}
}

// Worker returns the worker with that ID, or nil.
func (s *State) Worker(id WorkerID) *Worker {
	for i := range s.Workers {
		if s.Workers[i].ID == id {
			return &s.Workers[i]
		}
	}
	return nil
}

// ServingIn returns the newest serving worker of a slot, or nil.
func (s *State) ServingIn(slot int) *Worker {
	for i := len(s.Workers) - 1; i >= 0; i-- {
		if w := &s.Workers[i]; w.Slot == slot && w.Phase == Serving {
			return w
		}
	}
	return nil
}

// Served returns, for each slot, what ServingIn does.
func (s *State) Served() []*Worker {
	served := make([]*Worker, len(s.Slots))
	for i := range s.Workers {
		if w := &s.Workers[i]; w.Phase == Serving && w.Slot >= 0 && w.Slot < len(served) {
			served[w.Slot] = w
		}
	}
	return served
}

// AllServing tells whether every wanted slot has a serving worker.
func (s *State) AllServing() bool { return !slices.Contains(s.Served()[:s.Want], nil) }

// CrashLooping tells whether the slot failed so often in a row that it is called so.
func (s *Slot) CrashLooping() bool { return s.Failures >= crashLoopFailures }
