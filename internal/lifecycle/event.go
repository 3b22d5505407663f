package lifecycle

import "time"

// Event is something that happened. The concrete types are below.
type Event interface{ event() }

type (
	// Tick says only that time has passed.
	Tick struct{}
	// Scale asks for another number of slots.
	Scale struct{ Want int }
	// Reload asks that every slot be served by a generation that is newer than all before.
	Reload struct{ Op uint64 }
	// Fire asks for a run of a job. NewsRunEnded or NewsRunSkipped answers it.
	Fire struct{ Run uint64 }
	// Stop ends the app: workers drain, and are killed at the stop timeout, or at once.
	Stop struct{ Now bool }
	// Spawned says that the worker's process runs.
	Spawned struct{ Worker WorkerID }
	// SpawnFailed says that there is no process: the worker is gone.
	SpawnFailed struct {
		Worker WorkerID
		Why    string
		Lost   bool // by the end of a former master: the program is not to blame
	}
	// Ready says that the worker serves; for a spare, that it has booted.
	Ready struct{ Worker WorkerID }
	// Dying is the worker's own word that it will exit: the replacement starts now.
	Dying struct{ Worker WorkerID }
	// Blocked says whether the worker gives no sign where one is due: it leaves its connections waiting, or does not answer.
	Blocked struct {
		Worker WorkerID
		Sense  Sense // SenseQueue or SensePing
		Is     bool
		For    time.Duration // since when
	}
	// Beat is a sign of life. Who has once given one is suspected when none follows within the hang timeout.
	Beat struct{ Worker WorkerID }
	// Examined answers Examine: whether the worker is hung, or silent for a good reason.
	Examined struct {
		Worker WorkerID
		Sense  Sense
		Hung   bool
		Why    string
	}
	// Inspected says that there is nothing more to hear from a worker that was asked for its stacks.
	Inspected struct{ Worker WorkerID }
	// Extend moves a worker's current deadline to at least For from now, at its own request.
	Extend struct {
		Worker WorkerID
		For    time.Duration
	}
	// Recycle asks for a new worker in the place of this one. Hard means that it cannot wait for its turn.
	Recycle struct {
		Worker WorkerID
		Why    string
		Hard   bool
	}
	// Unhealthy says that a worker that is ready does not answer its health check.
	Unhealthy struct {
		Worker WorkerID
		Why    string
	}
	// Work says how much each worker has to do, in a measure of the teller's: who has the most is replaced first where a reload takes its time.
	Work struct{ Of map[WorkerID]int64 }
	// Ailing says why a worker that starts has not passed its health check so far. It is told if the worker is never ready.
	Ailing struct {
		Worker WorkerID
		Why    string
	}
	// Exited says that the worker's process is gone.
	Exited struct {
		Worker WorkerID
		Why    string // as "exit status 1"
		OK     bool   // that means success; it counts for a job
		Lost   bool   // by the end of a former master: the program is not to blame
	}
)

func (Tick) event()        {}
func (Scale) event()       {}
func (Reload) event()      {}
func (Fire) event()        {}
func (Stop) event()        {}
func (Spawned) event()     {}
func (SpawnFailed) event() {}
func (Ready) event()       {}
func (Dying) event()       {}
func (Blocked) event()     {}
func (Beat) event()        {}
func (Examined) event()    {}
func (Inspected) event()   {}
func (Extend) event()      {}
func (Recycle) event()     {}
func (Unhealthy) event()   {}
func (Ailing) event()      {}
func (Work) event()        {}
func (Exited) event()      {}

// Effect is something to do. The concrete types are below; all but the last three are about a worker that has not exited.
type Effect interface{ effect() }

type (
	// Spawn starts a process for the worker, in its slot or (NoSlot) as a spare. Spawned or SpawnFailed answers it.
	Spawn struct {
		Worker WorkerID
		Slot   int
		Gen    Generation
	}
	// Promote gives a waiting spare its slot. Ready answers it.
	Promote struct {
		Worker WorkerID
		Slot   int
	}
	// Drain asks the worker to stop accepting, to finish, and to exit.
	Drain struct{ Worker WorkerID }
	// Terminate sends the stop signal.
	Terminate struct{ Worker WorkerID }
	// Examine has a worker looked at that will soon have been silent for the hang timeout. Examined answers it.
	Examine struct {
		Worker WorkerID
		Sense  Sense
	}
	// Inspect asks a hung worker for its stacks.
	Inspect struct{ Worker WorkerID }
	// Kill sends SIGKILL to the worker and its tree.
	Kill struct{ Worker WorkerID }
	// OpenSlot makes the sockets of a new slot.
	OpenSlot struct{ Slot int }
	// CloseSlot empties and parks or closes the sockets of a slot that no worker holds any more.
	CloseSlot struct{ Slot int }
	// Announce is news for the log, the API and whoever waits.
	Announce struct {
		News    News
		Worker  WorkerID
		Slot    int
		Op      uint64
		Reason  Reason        // of an exit
		After   time.Duration // delay of the next try
		Why     string
		Run     uint64  // of a job
		Outcome Outcome // of that run
		// Recycled is why a worker that exited had been recycled.
		Recycled string
		// Hang is how a worker that exited was seen to be hung.
		Hang string
	}
)

func (Spawn) effect()     {}
func (Promote) effect()   {}
func (Drain) effect()     {}
func (Terminate) effect() {}
func (Examine) effect()   {}
func (Inspect) effect()   {}
func (Kill) effect()      {}
func (OpenSlot) effect()  {}
func (CloseSlot) effect() {}
func (Announce) effect()  {}

// News is what an Announce tells.
type News string

// The news.
const (
	NewsReady        News = "ready"         // the worker serves; of a spare: it has booted
	NewsServing      News = "serving"       // every slot is served
	NewsLeft         News = "left"          // the worker exited, as it should
	NewsFailed       News = "failed"        // the worker exited, as it should not
	NewsNotReady     News = "not ready"     // the worker was not ready in time
	NewsDying        News = "dying"         // the worker said that it will exit
	NewsHung         News = "hung"          // the worker served nobody for the hang timeout
	NewsCrashLooping News = "crash-looping" // the slot failed many times in a row
	NewsRecovered    News = "recovered"     // the slot that was crash-looping serves
	NewsBackingOff   News = "backing off"   // the whole app fails too often
	NewsGaveUp       News = "gave up"       // the slot is left empty
	NewsAppGaveUp    News = "app gave up"   // every slot was given up
	NewsStopped      News = "stopped"       // no worker is left
	NewsCommitted    News = "committed"     // the reload's canary has proved itself
	NewsReloaded     News = "reloaded"      // every slot serves the new generation
	NewsReloadFailed News = "reload failed" // the last good generation stays, or comes back
	NewsRunBegan     News = "run began"     // of a job; its worker is started
	NewsRunEnded     News = "run ended"     // its outcome is told
	NewsRunSkipped   News = "run skipped"   // there will be none
	NewsCompleted    News = "completed"     // the only run of the job has ended, and with it the app
	NewsRecycling    News = "recycling"     // the worker is being replaced for its age, memory or requests
)
