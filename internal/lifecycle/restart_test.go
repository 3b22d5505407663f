package lifecycle

import (
	"strings"
	"testing"
)

// TestRespawns counts the workers that were replaced because they ended: not those that a reload tried in vain.
func TestRespawns(t *testing.T) {
	t.Parallel()
	const serving = "spawned 1; ready 1; +2s; "
	for _, test := range []struct {
		name, events string
		want         int
	}{
		{"crash", serving + "exited 1 exit status 1", 1},
		{"announced", serving + "dying 1; exited 1 exit status 0", 1},
		{"crash at boot", "spawned 1; exited 1 exit status 1", 1},
		{"lost at its start", "lost 1 master killed", 0},
		{"lost at a respawn", serving + "exited 1 exit status 1; lost 2 master killed", 1},
		{"canary that crashes", serving + "reload; spawned 2; exited 2 exit status 1", 0},
		{"canary that crashes while it is tried", serving + "reload; spawned 2; ready 2; exited 2 exit status 1", 0},
		{"canary that is never ready", serving + "reload; spawned 2; +30s; exited 2 exit status 1", 0},
		{"old worker beside a canary", serving + "reload; spawned 2; exited 1 exit status 1", 1},
		{"after the reload", serving + "reload; spawned 2; ready 2; +5s; exited 1 exit status 0; exited 2 exit status 1", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := &teller{now: epoch}
			l.tell(t, strings.Fields("app 1 settle=1s"))
			for event := range strings.SplitSeq(test.events, "; ") {
				l.tell(t, strings.Fields(event))
			}
			if got := l.s.Slots[0].Respawns; got != test.want {
				t.Errorf("%d respawns, want %d", got, test.want)
			}
		})
	}
}
