package lifecycle

import (
	"fmt"
	"time"
)

// Rollout is a reload under way: State.Gen is the generation before it until every slot serves the new one.
type Rollout struct {
	Op          uint64     `json:"op"`
	To          Generation `json:"to"`
	Canary      int        `json:"canary"`         // the slot that tries the generation first
	Held        bool       `json:"held,omitempty"` // a worker of the generation before served when the reload began
	SettleUntil time.Time  `json:"settle_until,omitzero"`
	Committed   bool       `json:"committed,omitempty"`
}

func (s *step) reload(op uint64) {
	if s.Stopping {
		s.emit(Announce{News: NewsReloadFailed, Slot: NoSlot, Op: op, Why: "the app is being stopped"})
		return
	}
	if s.Policy.Job != nil {
		s.reloadJob(op)
		return
	}
	held := s.Rollout != nil && s.Rollout.Held
	s.abort("another reload took its place", nil)
	s.LastGen++
	canary := s.canarySlot()
	s.Rollout = &Rollout{Op: op, To: s.LastGen, Canary: canary, Held: !s.Policy.Singleton && (held || s.serving(canary) != nil)}
	for i := range s.Slots {
		s.Slots[i].Failures, s.Slots[i].NextSpawn, s.Slots[i].GaveUp = 0, time.Time{}, false
	}
	s.HoldUntil, s.Intensity, s.SpareNext, s.SpareFailed = time.Time{}, 0, time.Time{}, 0
}

// canarySlot is the first slot that serves, because the others have trouble of their own.
func (s *step) canarySlot() int {
	for slot := range s.Want {
		if s.serving(slot) != nil {
			return slot
		}
	}
	return 0
}

func (s *step) canaryReady(w *Worker) {
	r := s.Rollout
	if r == nil || r.Committed || w.Gen != r.To {
		return
	}
	r.SettleUntil = s.now.Add(s.Policy.Settle)
}

// generationFailed ends a reload whose new generation does not hold: at the first failure before it is committed, at the third failed boot of
// a slot after that.
func (s *step) generationFailed(w *Worker, why string) {
	r := s.Rollout
	if r == nil || w.Gen != r.To {
		return
	}
	if r.Committed && (w.Slot == NoSlot || w.Slot >= len(s.Slots) || s.Slots[w.Slot].Failures < rollFailures) {
		return
	}
	s.abort(fmt.Sprintf("worker %d of the new generation: %s", w.ID, why), w)
}

// abort ends the reload, because of a worker or (nil) for another reason: the plan brings every slot back to the last good generation, new first as always.
func (s *step) abort(why string, by *Worker) {
	r := s.Rollout
	if r == nil {
		return
	}
	s.Rollout = nil
	for i := range s.Workers { // those that were about to retire stay
		s.Workers[i].DrainAt = time.Time{}
	}
	for i := range s.Slots { // the failures were the abandoned generation's
		s.Slots[i].Failures, s.Slots[i].NextSpawn = 0, time.Time{}
	}
	s.HoldUntil = time.Time{}
	news := Announce{News: NewsReloadFailed, Slot: NoSlot, Op: r.Op, Why: why}
	if by != nil {
		news.Worker = by.ID
	}
	s.emit(news)
}

// advance commits a reload whose canary has settled, and ends one whose work is done.
func (s *step) advance() {
	r := s.Rollout
	if r == nil {
		return
	}
	if r.Canary >= s.Want { // its slot was scaled away
		r.Canary, r.SettleUntil = 0, time.Time{}
	}
	for slot := range s.Want {
		if s.Slots[slot].GaveUp {
			s.abort(fmt.Sprintf("slot %d was given up", slot), nil)
			return
		}
	}
	canary := newest(s.occupants(r.Canary), Serving, r.To)
	if !r.Committed && due(r.SettleUntil, s.now) && canary != nil {
		r.Committed = true
		s.emit(Announce{News: NewsCommitted, Worker: canary.ID, Slot: r.Canary, Op: r.Op})
	}
	if !r.Committed && s.Want == 0 {
		r.Committed = true
	}
}

// finish ends a reload whose work is done, and tells whether it has.
func (s *step) finish() bool {
	r := s.Rollout
	if r == nil || !r.Committed {
		return false
	}
	if !s.AllServing() {
		return false
	}
	for i := range s.Workers {
		if w := &s.Workers[i]; !w.Leaving() && w.Gen != r.To {
			return false
		}
	}
	s.Gen, s.Rollout = r.To, nil
	s.emit(Announce{News: NewsReloaded, Slot: NoSlot, Op: r.Op})
	return true
}

// target is the generation that a slot (or NoSlot: the spares) shall have now.
func (s *step) target(slot int) Generation {
	if r := s.Rollout; r != nil && (r.Committed || slot == r.Canary) {
		return r.To
	}
	return s.Gen
}

// trying tells whether the slot holds a canary beside its old worker, which must not be touched.
func (s *step) trying(slot int) bool {
	return s.Rollout != nil && !s.Rollout.Committed && slot == s.Rollout.Canary
}

// bereft tells whether the slot of a canary has lost the worker that was to serve until the canary has proved itself. It gets one more: the
// canary may never be ready.
func (s *step) bereft(slot int, ws []*Worker) bool {
	if !s.trying(slot) || !s.Rollout.Held {
		return false
	}
	return newest(ws, Serving, s.Gen) == nil && newest(ws, Starting, s.Gen) == nil
}

// isCanary tells whether the worker is the one that tries a generation.
func (s *step) isCanary(w *Worker) bool { return s.trying(w.Slot) && w.Gen == s.Rollout.To }

// retireAt spreads the draining of a reload's old workers over the window.
func (s *step) retireAt() time.Time {
	if s.Rollout == nil || s.Policy.RetireOver <= 0 {
		return s.now
	}
	waiting := 1
	for i := range s.Workers {
		if !s.Workers[i].DrainAt.IsZero() {
			waiting++
		}
	}
	share := s.Policy.RetireOver / time.Duration(max(s.Want, 1))
	return s.now.Add(s.jitter(share * time.Duration(waiting)))
}
