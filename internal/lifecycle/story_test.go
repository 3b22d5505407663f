package lifecycle

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the stories' effects as they are now")

// A story is a file of events, each a line beginning with "> ", followed by the effects that the core decides on, and the workers
// after them where that is asked for by "> show". Jitter is off, so every delay is exact.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			tell(t, file)
		})
	}
}

func tell(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	teller := &teller{now: epoch}
	var told strings.Builder
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			told.WriteString(line + "\n")
			continue
		}
		if event, ok := strings.CutPrefix(line, "> "); ok {
			told.WriteString(line + "\n" + teller.tell(t, strings.Fields(event)))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(told.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(data), told.String()); diff != "" {
		t.Errorf("%s (-file +told):\n%s", file, diff)
	}
}

type teller struct {
	s    *State
	now  time.Time
	ops  uint64
	runs uint64
}

func (l *teller) tell(t *testing.T, words []string) string {
	if strings.HasPrefix(words[0], "+") {
		d, err := time.ParseDuration(words[0][1:])
		if err != nil {
			t.Fatal(err)
		}
		return l.pass(d)
	}
	switch words[0] {
	case "app":
		l.s = New(storyPolicy(t, words[2:]), number(t, words[1]), 0)
		return l.step(Tick{})
	case "show":
		return l.show()
	}
	return l.step(l.event(t, words))
}

func (l *teller) event(t *testing.T, words []string) Event {
	id := func() WorkerID { return WorkerID(number(t, words[1])) }
	why := strings.Join(words[min(2, len(words)):], " ")
	switch words[0] {
	case "spawned":
		return Spawned{Worker: id()}
	case "unspawnable":
		return SpawnFailed{Worker: id(), Why: why}
	case "lost":
		return SpawnFailed{Worker: id(), Why: why, Lost: true}
	case "ready":
		return Ready{Worker: id()}
	case "dying":
		return Dying{Worker: id()}
	case "exited":
		return Exited{Worker: id(), Why: why, OK: why == "exit status 0"}
	case "ended": // by a master that goes on for another
		return Exited{Worker: id(), Why: why, Lost: true}
	case "beat":
		return Beat{Worker: id()}
	case "blocked":
		return Blocked{Worker: id(), Sense: SenseQueue, Is: true}
	case "unblocked":
		return Blocked{Worker: id(), Sense: SenseQueue}
	case "silent":
		return Blocked{Worker: id(), Sense: SensePing, Is: true, For: time.Second}
	case "answered":
		return Blocked{Worker: id(), Sense: SensePing}
	case "hung": // as "hung 1 ping its loop does not turn"
		return Examined{Worker: id(), Sense: Sense(words[2]), Hung: true, Why: strings.Join(words[3:], " ")}
	case "inspected":
		return Inspected{Worker: id()}
	case "spared":
		return Examined{Worker: id(), Sense: Sense(words[2])}
	case "unhealthy":
		return Unhealthy{Worker: id(), Why: why}
	case "work": // as "work 1=20 2=3"
		of := map[WorkerID]int64{}
		for _, word := range words[1:] {
			id, n, _ := strings.Cut(word, "=")
			of[WorkerID(number(t, id))] = int64(number(t, n))
		}
		return Work{Of: of}
	case "ailing":
		return Ailing{Worker: id(), Why: why}
	case "recycle":
		return Recycle{Worker: id(), Why: why}
	case "overgrown":
		return Recycle{Worker: id(), Why: why, Hard: true}
	case "extend":
		d, err := time.ParseDuration(words[2])
		if err != nil {
			t.Fatal(err)
		}
		return Extend{Worker: id(), For: d}
	case "scale":
		return Scale{Want: number(t, words[1])}
	case "reload":
		l.ops++
		return Reload{Op: l.ops}
	case "fire":
		l.runs++
		return Fire{Run: l.runs}
	case "stop":
		return Stop{Now: len(words) > 1}
	}
	t.Fatalf("no such event: %q", words)
	return nil
}

// pass lets time pass, tick by tick, and tells at which moments something happened.
func (l *teller) pass(d time.Duration) string {
	var out strings.Builder
	for end := l.now.Add(d); ; {
		at, ok := l.s.NextDeadline()
		if !ok || at.After(end) {
			l.now = end
			return out.String()
		}
		l.now = at
		if effects := l.step(Tick{}); effects != "" {
			fmt.Fprintf(&out, "  at %v\n%s", l.now.Sub(epoch), effects)
		}
	}
}

func (l *teller) step(ev Event) string {
	l.s.Seed = 0 // no jitter
	var out strings.Builder
	for _, e := range l.s.Step(l.now, ev) {
		fmt.Fprintf(&out, "  %s\n", effectLine(e))
	}
	return out.String()
}

func (l *teller) show() string {
	var out strings.Builder
	for _, w := range l.s.Workers {
		fmt.Fprintf(&out, "  worker %d: slot %d, generation %d, %s %s\n", w.ID, w.Slot, w.Gen, w.Phase, w.Reason)
	}
	return out.String()
}

func effectLine(e Effect) string {
	a, ok := e.(Announce)
	if !ok {
		return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T%+v", e, e), "lifecycle."))
	}
	line := "news: " + string(a.News)
	if a.Worker != 0 {
		line += fmt.Sprintf(", worker %d", a.Worker)
	}
	if a.Slot != NoSlot {
		line += fmt.Sprintf(", slot %d", a.Slot)
	}
	if a.Run != 0 {
		line += fmt.Sprintf(", run %d", a.Run)
	}
	if a.Outcome != "" {
		line += " " + string(a.Outcome)
	}
	if a.After != 0 {
		line += fmt.Sprintf(", after %v", a.After)
	}
	if a.Why != "" {
		line += ": " + a.Why
	}
	return line
}

// storyPolicy reads words as "surge=2"; durations are written as such.
func storyPolicy(t *testing.T, words []string) Policy {
	p := Policy{MaxStarting: 8}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		d, _ := time.ParseDuration(value)
		switch key {
		case "max_starting":
			p.MaxStarting = number(t, value)
		case "job", "job_timeout", "once":
			if p.Job == nil {
				p.Job = &JobPolicy{}
			}
			switch key {
			case "job":
				p.Job.Overlap = Overlap(value)
			case "job_timeout":
				p.Job.Timeout = d
			case "once":
				p.Job.Once = true
			}
		case "surge":
			p.Surge = number(t, value)
		case "singleton":
			p.Singleton = number(t, value) == 1
		case "spares":
			p.Spares = number(t, value)
		case "give_up_after":
			p.GiveUpAfter = number(t, value)
		case "failures":
			p.Failures = number(t, value)
		case "settle":
			p.Settle = d
		case "retire_over":
			p.RetireOver = d
		case "old_generations":
			p.OldGenerations = number(t, value)
		case "max_age":
			p.MaxAge = d
		case "hang_timeout":
			p.HangTimeout = d
		default:
			t.Fatalf("no such policy: %q", word)
		}
	}
	return p
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
