package lifecycle

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a fair or unfair machine around the core: it carries effects out on imaginary processes and checks the
// promises after every step.
type world struct {
	t     *rapid.T
	s     *State
	now   time.Time
	live  map[WorkerID]*fake
	gone  map[WorkerID]bool
	good  map[Generation]bool
	op    uint64
	beats int // in a fair world, which ends some day
}

type fake struct {
	slot    int
	gen     Generation
	running bool // Spawned was delivered
	told    bool // drained or terminated
	killed  bool
}

func newWorld(t *rapid.T) *world {
	p := Policy{
		MaxStarting:    rapid.IntRange(1, 4).Draw(t, "max starting"),
		Surge:          rapid.IntRange(1, 3).Draw(t, "surge"),
		Spares:         rapid.IntRange(0, 2).Draw(t, "spares"),
		GiveUpAfter:    rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "give up after"),
		Settle:         rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "settle"),
		OldGenerations: rapid.IntRange(1, 2).Draw(t, "old generations"),
		RetireOver:     rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(t, "retire over"),
		MaxAge:         rapid.SampledFrom([]time.Duration{0, 0, 30 * time.Second}).Draw(t, "max age"),
		HangTimeout:    rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "hang timeout"),
	}
	want := rapid.IntRange(0, 4).Draw(t, "want")
	if p.Singleton = rapid.IntRange(0, 3).Draw(t, "singleton") == 0; p.Singleton {
		p.Spares, want = 0, min(want, 1)
	}
	w := &world{
		t: t, now: epoch, live: map[WorkerID]*fake{}, gone: map[WorkerID]bool{}, good: map[Generation]bool{1: true},
		s: New(p, want, rapid.Uint64().Draw(t, "seed")),
	}
	w.step(Tick{})
	return w
}

func (w *world) step(ev Event) {
	waiting := w.waiting()
	effects := w.s.Step(w.now, ev)
	w.checkTurns(waiting)
	for _, e := range effects {
		w.check(e, ev)
		w.carryOut(e)
	}
	w.invariants()
}

// waiting are the workers that are to retire at a moment of their own.
func (w *world) waiting() map[WorkerID]bool {
	ids := map[WorkerID]bool{}
	for _, k := range w.s.Workers {
		if !k.DrainAt.IsZero() {
			ids[k.ID] = true
		}
	}
	return ids
}

// checkTurns: of those that waited for their turn, nobody goes on waiting who has more work than one whose turn has come.
func (w *world) checkTurns(waited map[WorkerID]bool) {
	if w.s.Rollout == nil {
		return // then all go
	}
	still := w.waiting()
	for _, gone := range w.s.Workers {
		if !waited[gone.ID] || gone.Phase != Draining || gone.Reason != ReasonSuperseded {
			continue
		}
		for _, k := range w.s.Workers {
			if waited[k.ID] && still[k.ID] && k.Work > gone.Work {
				w.t.Fatalf("worker %d retires with %d, and %d waits with %d", gone.ID, gone.Work, k.ID, k.Work)
			}
		}
	}
}

// serving counts the serving workers of each slot that are not told to go.
func (w *world) serving() map[int]int {
	n := map[int]int{}
	for _, k := range w.s.Workers {
		if k.Phase == Serving {
			n[k.Slot]++
		}
	}
	return n
}

func (w *world) check(e Effect, ev Event) {
	id, about := workerOf(e)
	if about {
		f := w.live[id]
		if _, spawn := e.(Spawn); !spawn && f == nil {
			w.t.Fatalf("effect %#v on %#v is about a worker that does not exist", e, ev)
		}
		if w.gone[id] {
			w.t.Fatalf("effect %#v on %#v is about a worker that has exited", e, ev)
		}
	}
	w.checkRecycling(e)
	if d, ok := e.(Drain); ok {
		k := w.s.Worker(d.Worker)
		if k.Reason == ReasonStop || k.Reason == ReasonScale || k.Slot == NoSlot || w.s.Policy.Singleton {
			return
		}
		heir := w.s.ServingIn(k.Slot)
		if heir == nil {
			w.t.Fatalf("on %#v worker %d of slot %d is drained without a serving successor", ev, k.ID, k.Slot)
		}
	}
}

func workerOf(e Effect) (WorkerID, bool) {
	switch e := e.(type) {
	case Spawn:
		return e.Worker, true
	case Promote:
		return e.Worker, true
	case Drain:
		return e.Worker, true
	case Terminate:
		return e.Worker, true
	case Examine:
		return e.Worker, true
	case Inspect:
		return e.Worker, true
	case Kill:
		return e.Worker, true
	}
	return 0, false
}

func (w *world) carryOut(e Effect) {
	switch e := e.(type) {
	case Spawn:
		w.live[e.Worker] = &fake{slot: e.Slot, gen: e.Gen}
	case Promote:
		w.live[e.Worker].slot = e.Slot
	case Drain:
		w.live[e.Worker].told = true
	case Terminate:
		w.live[e.Worker].told = true
	case Kill:
		if !w.live[e.Worker].running {
			w.t.Fatalf("%#v before the process exists", e)
		}
		w.live[e.Worker].killed = true
	}
}

func (w *world) invariants() {
	s := w.s
	if s.Policy.Singleton && len(s.Workers) > 1 {
		w.t.Fatalf("a singleton has %d workers at a time: %+v", len(s.Workers), s.Workers)
	}
	want := max(s.Want, len(s.Slots))
	current, starting := 0, 0
	perSlot := map[int]map[Generation]int{}
	for _, k := range s.Workers {
		if k.Leaving() {
			continue
		}
		current++
		canary := s.Rollout != nil && !s.Rollout.Committed && k.Slot == s.Rollout.Canary && k.Gen == s.Rollout.To
		if k.Phase == Starting && !k.Promoted && !canary {
			starting++
		}
		if perSlot[k.Slot] == nil {
			perSlot[k.Slot] = map[Generation]int{}
		}
		perSlot[k.Slot][k.Gen]++
	}
	if limit := want + s.Policy.Surge + s.Policy.Spares + 1; current > limit || current == limit && !w.urgency() {
		w.t.Fatalf("%d workers, limit %d", current, limit)
	}
	if starting > s.Policy.MaxStarting {
		w.t.Fatalf("%d boots at a time, limit %d", starting, s.Policy.MaxStarting)
	}
	for slot, gens := range perSlot {
		for gen, n := range gens {
			if slot != NoSlot && n > 2 || slot != NoSlot && n > 1 && s.Recycled == 0 && !urgent(s, slot, false) {
				w.t.Fatalf("slot %d has %d current workers of generation %d", slot, n, gen)
			}
		}
	}
	if at, ok := s.NextDeadline(); ok && !at.After(w.now) {
		w.t.Fatalf("deadline %v is not after now %v: the loop would spin", at, w.now)
	}
	w.recyclesOne()
	if old := (&step{State: s, now: w.now}).finishing(); !s.Stopping && len(old) > s.Policy.OldGenerations {
		w.t.Fatalf("generations %v finish beside each other, %d may", old, s.Policy.OldGenerations)
	}
	w.serialises()
}

// urgent tells whether a worker of the slot is to be recycled, at once or (unless that is asked) in its turn.
func urgent(s *State, slot int, atOnce bool) bool {
	for _, k := range s.Workers {
		if k.Slot == slot && (k.Urgent || k.RecycleAs != "" && !atOnce) {
			return true
		}
	}
	return false
}

func (w *world) serialises() {
	data, err := json.Marshal(w.s)
	if err != nil {
		w.t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(data, &back); err != nil {
		w.t.Fatal(err)
	}
	again, err := json.Marshal(&back)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		w.t.Fatalf("state does not survive JSON: %s", diff)
	}
}

func (w *world) pick(name string) (WorkerID, *fake) {
	ids := []WorkerID{}
	for _, k := range w.s.Workers {
		ids = append(ids, k.ID)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	id := rapid.SampledFrom(ids).Draw(w.t, name)
	return id, w.live[id]
}

func (w *world) exit(id WorkerID) {
	delete(w.live, id)
	w.gone[id] = true
	f := w.s.Worker(id)
	lost := f != nil && !f.Served && rapid.Bool().Draw(w.t, "lost")
	w.step(Exited{Worker: id, Why: "exit status 1", Lost: lost})
}

func (w *world) advance(d time.Duration) {
	target := w.now.Add(d)
	for range 10000 {
		at, ok := w.s.NextDeadline()
		if !ok || at.After(target) {
			w.now = target
			return
		}
		w.now = at
		w.step(Tick{})
	}
	w.t.Fatal("the deadlines do not end")
}

// random lets anything happen, in any order.
func (w *world) random(n int) {
	for range n {
		id, f := w.pick("worker")
		switch rapid.IntRange(0, 16).Draw(w.t, "what") {
		case 15:
			if f != nil {
				w.step(Work{Of: map[WorkerID]int64{id: int64(rapid.IntRange(0, 9).Draw(w.t, "work"))}})
			}
		case 14:
			if f != nil && f.running {
				w.step(Beat{Worker: id})
			}
		case 0, 1, 2:
			if f != nil && !f.running {
				f.running = true
				w.step(Spawned{Worker: id})
			}
		case 3, 4:
			if f != nil && f.running {
				w.step(Ready{Worker: id})
			}
		case 5:
			if f != nil && f.running {
				w.step(Dying{Worker: id})
			}
		case 6, 7:
			if f != nil && f.running {
				w.exit(id)
			}
		case 8:
			if f != nil && !f.running {
				delete(w.live, id)
				w.gone[id] = true
				w.step(SpawnFailed{Worker: id, Why: "no such file", Lost: rapid.Bool().Draw(w.t, "lost")})
			}
		case 9:
			w.advance(time.Duration(rapid.IntRange(0, 40000).Draw(w.t, "ms")) * time.Millisecond)
		case 10:
			want := rapid.IntRange(0, 5).Draw(w.t, "want")
			if w.s.Policy.Singleton {
				want = min(want, 1)
			}
			w.step(Scale{Want: want})
		case 11:
			w.op++
			w.step(Reload{Op: w.op})
		case 12:
			if f != nil {
				sense := rapid.SampledFrom([]Sense{SenseQueue, SensePing}).Draw(w.t, "sense")
				w.step(Blocked{Worker: id, Sense: sense, Is: rapid.Bool().Draw(w.t, "blocked"), For: time.Duration(rapid.IntRange(0, 9000).Draw(w.t, "for")) * time.Millisecond})
			}
		case 16:
			if f != nil {
				sense := rapid.SampledFrom([]Sense{SenseQueue, SensePing, SenseHeartbeat}).Draw(w.t, "sense")
				w.step(Examined{Worker: id, Sense: sense, Hung: rapid.Bool().Draw(w.t, "hung"), Why: "it looks so"})
			}
		case 13:
			if f != nil && f.running {
				w.step(Recycle{Worker: id, Why: "age", Hard: rapid.Bool().Draw(w.t, "hard")})
			}
		}
	}
}

// fair lets every process do what it should until nothing is left to happen.
func (w *world) fair() {
	w.s.Policy.MaxAge = 0 // or it would never be over
	for range 2000 {
		if !w.fairRound() {
			at, ok := w.s.NextDeadline()
			if !ok {
				return
			}
			w.now = at
			w.step(Tick{})
		}
	}
	w.t.Fatalf("a fair world does not settle: %+v", w.s)
}

func (w *world) fairRound() bool {
	for _, k := range w.s.Workers {
		f := w.live[k.ID]
		switch {
		case !f.running:
			f.running = true
			w.step(Spawned{Worker: k.ID})
		case f.killed || f.told || k.Reason == ReasonDying:
			w.exit(k.ID)
		case k.Phase == Starting:
			w.step(Ready{Worker: k.ID})
		case k.Phase == Serving && !k.HungAt.IsZero():
			w.step(Blocked{Worker: k.ID, Sense: SenseQueue})
		case !k.PongBy.IsZero():
			w.step(Blocked{Worker: k.ID, Sense: SensePing})
		case k.Phase == Serving && !k.BeatBy.IsZero() && w.beats < 100:
			w.beats++
			w.step(Beat{Worker: k.ID})
		case !k.LookedAt.IsZero() && k.Hang == "":
			w.step(Examined{Worker: k.ID, Sense: SenseHeartbeat, Hung: true, Why: "it looks so"})
		default:
			continue
		}
		return true
	}
	return false
}

func TestRandomHistoriesKeepThePromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.random(rapid.IntRange(1, 120).Draw(t, "events"))
	})
}

func TestAFairWorldSettles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.random(rapid.IntRange(0, 80).Draw(t, "events"))
		w.fair()
		w.settled()
	})
}

func (w *world) settled() {
	s := w.s
	if s.Ended {
		return
	}
	if s.Rollout != nil {
		w.t.Fatalf("a reload never ends: %+v", s)
	}
	if len(s.Slots) != s.Want {
		w.t.Fatalf("%d slots, want %d", len(s.Slots), s.Want)
	}
	for slot := range s.Want {
		k := s.ServingIn(slot)
		switch {
		case s.Slots[slot].GaveUp:
		case k == nil:
			w.t.Fatalf("slot %d is not served: %+v", slot, s)
		case k.Gen != s.Gen:
			w.t.Fatalf("slot %d serves generation %d, want %d", slot, k.Gen, s.Gen)
		}
		if n := len((&step{State: s, now: w.now}).occupants(slot)); n > 1 {
			w.t.Fatalf("slot %d has %d workers", slot, n)
		}
	}
	if n := len((&step{State: s, now: w.now}).occupants(NoSlot)); s.Want > 0 && !anyGaveUp(s) && n != s.Policy.Spares {
		w.t.Fatalf("%d spares, want %d", n, s.Policy.Spares)
	}
}

func anyGaveUp(s *State) bool {
	for _, slot := range s.Slots {
		if slot.GaveUp {
			return true
		}
	}
	return false
}

func TestAStoppedAppEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.random(rapid.IntRange(0, 80).Draw(t, "events"))
		w.step(Stop{Now: rapid.Bool().Draw(t, "now")})
		w.random(rapid.IntRange(0, 20).Draw(t, "late events"))
		w.fair()
		if len(w.s.Workers) != 0 || !w.s.Ended {
			t.Fatalf("stopped app is not over: %+v", w.s)
		}
	})
}

// A generation whose workers never hold must not cost the last good one a single serving slot.
func TestABadGenerationNeverReplacesTheLastGoodWorker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.fair()
		good := w.s.Gen
		served := w.serving()
		w.op++
		w.step(Reload{Op: w.op})
		for range 400 {
			if w.s.Rollout == nil {
				break
			}
			if !w.badRound(t, good) {
				w.now, _ = w.s.NextDeadline()
				w.step(Tick{})
			}
			for slot, n := range served {
				if slot != NoSlot && w.serving()[slot] < n && !w.s.Policy.Singleton {
					t.Fatalf("slot %d lost its good worker to a bad generation", slot)
				}
			}
		}
		if w.s.Want > 0 && w.s.Gen != good {
			t.Fatalf("generation %d was committed", w.s.Gen)
		}
	})
}

func (w *world) badRound(t *rapid.T, good Generation) bool {
	for _, k := range w.s.Workers {
		if k.Gen == good {
			continue
		}
		if f := w.live[k.ID]; !f.running && rapid.Bool().Draw(t, "runs") {
			f.running = true
			w.step(Spawned{Worker: k.ID})
		} else if !f.running {
			delete(w.live, k.ID)
			w.gone[k.ID] = true
			w.step(SpawnFailed{Worker: k.ID, Why: "no such file"})
		} else {
			w.exit(k.ID)
		}
		return true
	}
	return false
}
