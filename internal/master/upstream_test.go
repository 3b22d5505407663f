package master

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/internal/notify"
)

func TestNewsOfAStanding(t *testing.T) {
	t.Parallel()
	starting := standing{status: "starting"}
	ready := standing{ready: true, status: "serving"}
	reloading := standing{ready: true, reloading: true, status: "reloading"}
	stopping := standing{ready: true, stopping: true, status: "stopping"}
	tests := []struct {
		name      string
		told, now standing
		want      notify.Message
	}{
		{"begins", standing{}, starting, notify.Message{Status: "starting", HasStatus: true}},
		{"serves", starting, ready, notify.Message{Ready: true, Status: "serving", HasStatus: true}},
		{"nothing new", ready, ready, notify.Message{}},
		{"is degraded", ready, standing{ready: true, status: "degraded"}, notify.Message{Status: "degraded", HasStatus: true}},
		{"goes on under a new master that reloads", standing{}, reloading, notify.Message{Ready: true, Status: "reloading", HasStatus: true}},
		{"has reloaded", reloading, ready, notify.Message{Ready: true, Status: "serving", HasStatus: true}},
		{"stops", ready, stopping, notify.Message{Stopping: true, Status: "stopping", HasStatus: true, ExtendTimeout: time.Minute}},
		{"stops in a reload", reloading, stopping, notify.Message{Stopping: true, Status: "stopping", HasStatus: true, ExtendTimeout: time.Minute}},
		{"stops on", stopping, stopping, notify.Message{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.now.since(tt.told, time.Minute)); diff != "" {
				t.Error(diff)
			}
		})
	}
	got := reloading.since(ready, 0)
	if !got.Reloading || got.Ready || got.MonotonicUSec == 0 {
		t.Errorf("a reload is told as %+v", got)
	}
}
