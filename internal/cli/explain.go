package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/spf13/cobra"
)

func newExplain(stdout *os.File) *cobra.Command {
	var reveal revealFlag
	cmd := &cobra.Command{
		Use:   "explain [NAME...|all]",
		Short: "Say in words what each slot of an app does, and why",
		RunE: func(cmd *cobra.Command, args []string) error {
			return explainApp(cmd.Context(), stdout, reveal, args)
		},
	}
	reveal.flags(cmd.Flags())
	return cmd
}

func explainApp(ctx context.Context, stdout *os.File, reveal revealFlag, args []string) error {
	chosen, daemon, err := choose(ctx, args)
	if err != nil {
		return err
	}
	defer closeAll(chosen, daemon)
	return separated(stdout, chosen, false, func(s subject) error { return explainOne(ctx, stdout, reveal, s) })
}

func explainOne(ctx context.Context, stdout io.Writer, reveal revealFlag, s subject) error {
	if s.entry != nil && s.entry.State == api.EntryHeld {
		return explainHeld(stdout, *s.entry)
	}
	if !s.running() {
		return s.notRunning()
	}
	a, err := reveal.app(ctx, s.target)
	if err != nil {
		return err
	}
	return explainTo(stdout, a)
}

// explainHeld says in words what an app waits for.
func explainHeld(w io.Writer, e api.Entry) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s is held since %s: %s.\n", e.Name, ago(e.Since), cmp.Or(e.Why, "it is not known yet what it waits for"))
	for _, wait := range e.Waits {
		fmt.Fprintf(&text, "\nIt starts when %s %s.\n", wait.On, conditionWords(wait.Until))
		if wait.Why == "" {
			fmt.Fprintf(&text, "  %s is on its way: muster explain %s\n", wait.On, wait.On)
			continue
		}
		fmt.Fprintf(&text, "  That does not come by itself: %s.\n", wait.Why)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func conditionWords(until app.Condition) string {
	switch until {
	case app.ConditionStarted:
		return "runs its workers"
	case app.ConditionHealthy:
		return "serves in every slot and passes its health checks"
	case app.ConditionCompleted:
		return "has ended with success"
	case app.ConditionReady, app.ConditionAuto:
	}
	return "serves in every slot"
}

func explainTo(w io.Writer, a api.App) error {
	var text strings.Builder
	if a.Spec.Job {
		explainJob(&text, a)
		_, err := io.WriteString(w, text.String())
		return err
	}
	fmt.Fprintf(&text, "%s is %s: %d of %d slots are served, by %s.\n", a.Name, a.State, a.Serving, a.Workers, strings.Join(a.Command, " "))
	fmt.Fprintf(&text, "Connections are spread by %s: %s.\n", a.Balance, a.BalanceWhy)
	if a.Spec.Singleton {
		text.WriteString("There are never two workers at a time: each starts when the last one has ended.\n")
	}
	if a.Rescued > 0 {
		fmt.Fprintf(&text, "%s waited for a blocked worker and were served by others.\n", count(int(a.Rescued), "connection"))
	}
	explainLimits(&text, a)
	text.WriteString(hangWords(a))
	if a.ReloadAt != nil {
		fmt.Fprintf(&text, "It is reloaded %s.\n", scheduleText(a.ReloadAt))
	}
	if !a.HoldUntil.IsZero() {
		fmt.Fprintf(&text, "The app fails too often: slots that have failed wait %s more.\n", short(time.Until(a.HoldUntil)))
	}
	for _, op := range a.Operations {
		if op.State == api.OperationRunning {
			fmt.Fprintf(&text, "Under way since %s: %s.\n", ago(op.Started), operationText(&op))
		}
	}
	for _, slot := range a.Slots {
		fmt.Fprintf(&text, "\nslot %d %s\n", slot.Slot, slotWords(slot))
		for _, worker := range slot.Workers {
			fmt.Fprintf(&text, "  worker %d %s\n", worker.ID, workerWords(worker))
			text.WriteString(senseWords(a, worker))
		}
		lastExit(&text, slot)
	}
	for _, worker := range a.Spares {
		fmt.Fprintf(&text, "\nspare worker %d %s\n", worker.ID, workerWords(worker))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func slotWords(slot api.Slot) string {
	switch slot.State {
	case api.SlotServing:
		return "is served." + waiting(slot)
	case api.SlotBlocked:
		return "is blocked: its worker does not take its connections." + waiting(slot)
	case api.SlotStarting:
		return "has a worker that does not serve yet." + waiting(slot)
	case api.SlotBackingOff:
		return "backs off" + until(slot.NextSpawn) + ", after " + count(slot.Failures, "failure") + " in a row." + waiting(slot)
	case api.SlotCrashLoop:
		return "is crash-looping: " + count(slot.Failures, "failure") + " in a row; it is tried again" + until(slot.NextSpawn) + "." + waiting(slot)
	case api.SlotGaveUp:
		return "was given up after " + count(slot.Failures, "failure") + " in a row; a reload tries it again."
	case api.SlotClosing:
		return "goes as soon as its worker has."
	case api.SlotEmpty:
		return "waits for its turn to start."
	}
	return "is " + string(slot.State) + "."
}

func waiting(slot api.Slot) string {
	if slot.Waiting == 0 {
		return ""
	}
	return fmt.Sprintf(" %s waiting in its queue.", count(slot.Waiting, "connection"))
}

func until(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " in " + short(time.Until(at))
}

func workerWords(w api.Worker) string {
	where := fmt.Sprintf("(process %s, generation %d)", pidText(w), w.Generation)
	text := fmt.Sprintf("is %s since %s", w.Phase, ago(w.Since))
	switch {
	case !w.BlockedSince.IsZero():
		text = fmt.Sprintf("serves, but has taken no connection for %s", ago(w.BlockedSince))
	case w.Phase == "serving":
		text = "serves since " + ago(w.Since)
	case w.Phase == "draining":
		text = "finishes since " + ago(w.Since) + because(w.Reason) + "; it is killed" + until(w.KillAt)
	case w.Phase == "waiting":
		text = "has booted and waits for a slot since " + ago(w.Since)
	}
	if w.Recycling != "" && w.Phase == "serving" {
		text += ", and is to be replaced by a fresh worker: it " + w.Recycling
	}
	if w.Status != "" {
		text += fmt.Sprintf("; it says %q", w.Status)
	}
	return text + " " + where
}

// lastExit tells of the last worker that failed in the slot.
func lastExit(text *strings.Builder, slot api.Slot) {
	for _, exit := range slices.Backward(slot.Exits) {
		if exit.Recycled != "" {
			fmt.Fprintf(text, "  worker %d was replaced by a fresh one %s ago: it %s\n", exit.Worker, ago(exit.At), exit.Recycled)
		}
		if !exit.Failed {
			continue
		}
		fmt.Fprintf(text, "  worker %d failed %s ago: %s, after %s\n", exit.Worker, ago(exit.At), exit.Why, short(exit.Lived.Duration()))
		if exit.Hang != "" {
			fmt.Fprintf(text, "    it was hung: %s\n", exit.Hang)
		}
		for _, line := range exit.Stderr {
			fmt.Fprintf(text, "    | %s\n", line)
		}
		return
	}
}
