package cli

import (
	"fmt"
	"strings"

	"github.com/musterd/muster/api"
)

// hangWords says whether workers are watched for hangs at all.
func hangWords(a api.App) string {
	hang := a.Spec.HangTimeout.Duration()
	if hang == 0 {
		return "The hang watchdog is off: there is no --hang-timeout.\n"
	}
	text := fmt.Sprintf("A worker that gives no sign for %s is hung.", short(hang))
	if a.Hangs > 0 {
		text += fmt.Sprintf(" That happened %s so far.", times(a.Hangs))
	}
	return text + "\n"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// senseWords says by what a worker is watched for a hang, and what that says now.
func senseWords(a api.App, w api.Worker) string {
	if a.Spec.HangTimeout == 0 || w.Phase != "serving" && len(w.Senses) == 0 {
		return ""
	}
	if len(w.Senses) == 0 {
		return "    the hang watchdog is off for it: it gives no sign (it has no queue of its own, answers no pings, and sends no WATCHDOG=1)\n"
	}
	var says []string
	for _, s := range w.Senses {
		text := s.Name + " (" + s.Says + ")"
		if s.Silent {
			text = s.Name + " (SILENT: " + s.Says + ")"
		}
		says = append(says, text)
	}
	text := "    watched by " + strings.Join(says, ", ")
	if w.Process != "" {
		text += "; its process: " + w.Process
	}
	if w.Spared != "" {
		text += "\n    it was silent and not called hung: " + w.Spared
	}
	return text + "\n"
}
