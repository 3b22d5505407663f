package lifecycle

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// jobWorld is a machine around a job that checks after every step that there is one worker at most, and none without a run.
type jobWorld struct {
	t       *rapid.T
	s       *State
	now     time.Time
	fired   uint64
	settled map[uint64]Outcome // "" for a run that was skipped
	began   uint64
	tries   int
	spawned map[WorkerID]bool
}

func (w *jobWorld) step(ev Event) {
	data, err := json.Marshal(w.s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = &State{}
	if err := json.Unmarshal(data, w.s); err != nil { // as through an upgrade
		w.t.Fatal(err)
	}
	for _, e := range w.s.Step(w.now, ev) {
		switch e := e.(type) {
		case Spawn:
			if w.tries++; w.tries > w.s.Policy.GiveUpAfter {
				w.t.Fatalf("run %d is tried %d times", w.began, w.tries)
			}
		case Announce:
			w.hear(e)
		}
	}
	if len(w.s.Workers) > 1 || w.s.Job.Run == 0 && len(w.s.Workers) > 0 {
		w.t.Fatalf("run %d has workers %+v", w.s.Job.Run, w.s.Workers)
	}
}

func (w *jobWorld) hear(a Announce) {
	switch a.News {
	case NewsRunBegan:
		if a.Run <= w.began {
			w.t.Fatalf("run %d begins after run %d", a.Run, w.began)
		}
		w.began, w.tries = a.Run, 0
	case NewsRunEnded, NewsRunSkipped:
		if _, twice := w.settled[a.Run]; twice {
			w.t.Fatalf("run %d ends twice", a.Run)
		}
		if a.News == NewsRunEnded && (a.Run != w.began || a.Outcome == "") {
			w.t.Fatalf("run %d ends as %q while run %d is under way", a.Run, a.Outcome, w.began)
		}
		w.settled[a.Run] = a.Outcome
	default:
	}
}

// TestEveryRunIsAccountedFor tells random stories of jobs: each run that was asked for ends once, or is skipped.
func TestEveryRunIsAccountedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{GiveUpAfter: rapid.IntRange(1, 3).Draw(t, "tries"), Job: &JobPolicy{
			Overlap: rapid.SampledFrom([]Overlap{"", OverlapSkip, OverlapQueue, OverlapReplace}).Draw(t, "overlap"),
			Timeout: rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "timeout"),
		}}
		w := &jobWorld{t: t, s: New(p, 1, 1), now: epoch, settled: map[uint64]Outcome{}, spawned: map[WorkerID]bool{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 6000).Draw(t, "pause")) * time.Millisecond)
			w.act(rapid.SampledFrom([]string{"fire", "fire", "go on", "go on", "succeed", "fail", "unspawnable", "dying", "reload", "tick", "scale"}).Draw(t, "act"))
		}
		w.step(Stop{Now: true})
		w.act("go on")
		w.act("fail")
		if !w.s.Ended || len(w.settled) != int(w.fired) {
			t.Fatalf("%d runs were asked for, %d are accounted for: %+v", w.fired, len(w.settled), w.s)
		}
	})
}

func (w *jobWorld) act(what string) {
	var id WorkerID
	if len(w.s.Workers) > 0 {
		id = w.s.Workers[0].ID
	}
	switch what {
	case "fire":
		w.fired++
		w.step(Fire{Run: w.fired})
	case "go on":
		if !w.spawned[id] && id != 0 {
			w.spawned[id] = true
			w.step(Spawned{Worker: id})
			w.step(Ready{Worker: id})
		}
	case "succeed", "fail":
		if w.spawned[id] {
			w.step(Exited{Worker: id, OK: what == "succeed", Why: what})
		}
	case "unspawnable":
		if !w.spawned[id] && id != 0 {
			w.step(SpawnFailed{Worker: id, Why: what})
		}
	case "dying":
		w.step(Dying{Worker: id})
	case "reload":
		w.step(Reload{Op: 1})
	case "scale":
		w.step(Scale{Want: 3})
	default:
		w.step(Tick{})
	}
}
