package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterd/muster/api"
)

// eventText is an event in one line.
func eventText(e api.Event) string {
	what := eventWords(e)
	switch {
	case e.Worker == 0 && e.Slot == api.NoSlot:
		return what
	case e.Worker == 0:
		return fmt.Sprintf("slot %d: %s", e.Slot, what)
	case e.Slot == api.NoSlot:
		return fmt.Sprintf("spare: worker %d %s", e.Worker, what)
	}
	return fmt.Sprintf("slot %d: worker %d %s", e.Slot, e.Worker, what)
}

func eventWords(e api.Event) string {
	after := e.After.Duration()
	switch e.Kind {
	case api.EventStarted:
		return fmt.Sprintf("started, process %d", e.PID)
	case api.EventNotStarted:
		return "could not be started: " + e.Why
	case api.EventReady:
		if e.Slot == api.NoSlot {
			return "waits for a slot, after " + short(after)
		}
		return "serves, after " + short(after)
	case api.EventServing:
		return "every slot is served"
	case api.EventDraining:
		return "finishes" + because(e.Reason)
	case api.EventKilled:
		return "was killed" + because(e.Reason)
	case api.EventLeft:
		return "ended, " + e.Why
	case api.EventFailed:
		return "failed, " + e.Why + retry(after)
	case api.EventNotReady:
		return "was not ready within " + short(after) + colon(e.Why)
	case api.EventHung:
		return "gave no sign for " + short(after) + colon(e.Why)
	case api.EventRecycling:
		return "is to be replaced by a fresh one: it " + e.Why
	case api.EventDying:
		return "says that it will end"
	case api.EventBlocked:
		return "leaves connections waiting"
	case api.EventUnblocked:
		return "takes connections again"
	case api.EventCrashLooping:
		return "is crash-looping" + retry(after)
	case api.EventRecovered:
		return "does not crash any more"
	case api.EventBackingOff:
		return "the app fails too often: all failing slots wait " + short(after)
	case api.EventGaveUp:
		return "was given up"
	case api.EventAppGaveUp:
		return "every slot was given up"
	case api.EventCommitted:
		return "has proved the new generation"
	case api.EventReloaded:
		return "every slot serves the new generation"
	case api.EventReloadFailed:
		return "ended the reload: " + e.Why
	case api.EventRunBegan, api.EventRunEnded, api.EventRunSkipped:
		return runText(e)
	case api.EventReset:
		return "the counters were reset"
	case api.EventCompleted:
		return "the only run has ended"
	case api.EventOperation:
		return operationText(e.Operation)
	default:
		return strings.TrimSuffix(string(e.Kind)+": "+e.Why, ": ")
	}
}

func operationText(op *api.Operation) string {
	if op == nil {
		return "operation"
	}
	text := fmt.Sprintf("%s (operation %s) %s", op.Kind, op.ID, op.State)
	if op.State == api.OperationRunning && op.Total > 0 {
		text += fmt.Sprintf(", %d of %d", op.Done, op.Total)
	}
	if op.State == api.OperationRunning && op.Hook != "" {
		text += ", " + string(op.Hook) + " runs"
	}
	if op.Reason != "" {
		text += ": " + op.Reason
	}
	return text
}

// reasons are why a worker is on its way out, as a clause.
var reasons = map[string]string{
	"stop": "the app stops", "scale": "its slot goes", "superseded": "its successor serves", "recycled": "a fresh worker serves in its place", "abandoned": "its generation was given up", "lost": "its master was killed",
	"dying": "it wants to end", "not ready": "it was not ready in time", "hung": "it gave no sign", "timed out": "its run took too long", "replaced": "the next run takes its place",
}

// colon is what follows, if anything does.
func colon(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func because(reason string) string {
	switch clause, known := reasons[reason]; {
	case known:
		return ": " + clause
	case reason != "":
		return ": " + reason
	}
	return ""
}

func retry(after time.Duration) string {
	if after <= 0 {
		return ""
	}
	return "; next try in " + short(after)
}

// short is a duration of as many digits as somebody reads: "350ms", "2.1s", "3m20s", "5h10m", "12d".
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Second).String(), "m0s") + minutesIf(d.Round(time.Second))
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// minutesIf puts back the unit that was cut off of whole minutes.
func minutesIf(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return "m"
	}
	return ""
}

// ago is the time since then.
func ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return short(time.Since(at))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// address is a listener as its user wrote it, without what goes without saying.
func address(l api.Listener) string {
	for _, scheme := range []string{"tcp://", "tcp4://", "tcp6://"} {
		if rest, ok := strings.CutPrefix(l.Address, scheme); ok {
			return rest
		}
	}
	return l.Address
}

func addresses(a api.App) string {
	var all []string
	for _, l := range a.Listeners {
		if !l.Closed {
			all = append(all, address(l))
		}
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, " ")
}
