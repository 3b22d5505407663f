package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

// plan turns the difference between what is and what shall be into effects. It is the same whatever happened before.
func (s *step) plan() {
	s.enforce()
	s.advance()
	if s.Stopping {
		s.ended(NewsStopped)
		return
	}
	if s.Policy.Job != nil {
		s.planJob()
		return
	}
	s.round()
	if s.finish() { // and there may be what it has kept waiting
		s.round()
	}
	s.shrink()
	if s.givenUp() {
		s.ended(NewsAppGaveUp)
	}
}

// round lets each slot have what it shall have.
func (s *step) round() {
	s.grantRecycling()
	s.busiestFirst()
	for slot := range s.Slots {
		s.settle(slot)
	}
	s.boundOld()
	s.settleSpares()
	s.fill()
}

func (s *step) ended(news News) {
	if len(s.Workers) == 0 && !s.Ended {
		s.Ended = true
		s.emit(Announce{News: news, Slot: NoSlot})
	}
}

// givenUp tells whether no slot is left that may have a worker.
func (s *step) givenUp() bool {
	return s.Want > 0 && !slices.ContainsFunc(s.Slots[:s.Want], func(slot Slot) bool { return !slot.GaveUp })
}

// enforce carries out the deadlines that have passed.
func (s *step) enforce() {
	for i := range s.Workers {
		w := &s.Workers[i]
		if due(w.StartBy, s.now) {
			s.emit(Announce{News: NewsNotReady, Worker: w.ID, Slot: w.Slot, After: s.Policy.StartTimeout, Why: w.Ails})
			s.leave(w, ReasonTimedOut)
			s.generationFailed(w, s.notReady(w))
		}
		if due(w.StableAt, s.now) && w.Phase == Serving && w.Slot < len(s.Slots) {
			s.stable(w)
		}
		if due(w.RecycleAt, s.now) {
			w.RecycleAt = time.Time{}
			s.recycle(w, s.agedText(w), false)
		}
		s.look(w)
		if due(w.EndBy, s.now) {
			s.leave(w, ReasonOverdue)
		}
		s.enforceEnd(w)
	}
}

func (s *step) enforceEnd(w *Worker) {
	if !w.Spawned {
		return
	}
	if due(w.KillAt, s.now) {
		w.Phase, w.TermAt, w.KillAt = Killing, time.Time{}, time.Time{}
		s.emit(Kill{Worker: w.ID})
	} else if due(w.TermAt, s.now) {
		w.TermAt = time.Time{}
		s.emit(Terminate{Worker: w.ID})
	}
}

// settle sends away the workers of a slot that have no business there any more.
func (s *step) settle(slot int) {
	ws := s.occupants(slot)
	if slot >= s.Want {
		for _, w := range ws {
			s.leave(w, ReasonScale)
		}
		return
	}
	if s.Policy.Singleton {
		s.settleAlone(slot, ws)
		return
	}
	heir := newest(ws, Serving, s.target(slot))
	stays := s.stays(slot, ws, heir)
	for _, w := range ws {
		switch {
		case slices.Contains(stays, w):
			w.DrainAt = time.Time{} // its successor is gone again
		case w.Phase == Starting, heir != nil && w.Gen > heir.Gen:
			s.leave(w, ReasonAbandoned)
		case w.DrainAt.IsZero():
			s.retire(w)
		case due(w.DrainAt, s.now):
			s.leave(w, w.replacedFor(heir))
		}
	}
}

// stays returns the workers that a slot needs: the heir, which serves the right generation, and whoever is to follow it; while there
// is no heir, or while a canary beside it is tried, also the best of those that serve.
func (s *step) stays(slot int, ws []*Worker, heir *Worker) []*Worker {
	stays := []*Worker{heir}
	if next := newest(ws, Starting, s.target(slot)); next != nil && (heir == nil || next.ID > heir.ID) {
		stays = append(stays, next)
	}
	if heir != nil && !s.trying(slot) {
		return stays
	}
	if w := newest(ws, Serving, s.Gen); w != nil {
		return append(stays, w)
	}
	if s.trying(slot) {
		stays = append(stays, newest(ws, Starting, s.Gen))
	}
	return append(stays, newest(ws, Serving, 0))
}

// newest returns the newest worker in that phase and generation (0: any), or nil.
func newest(ws []*Worker, phase Phase, gen Generation) *Worker {
	for _, w := range slices.Backward(ws) {
		if w.Phase == phase && (gen == 0 || w.Gen == gen) {
			return w
		}
	}
	return nil
}

// retire sends a worker away whose successor serves: at once, or when its turn comes if a reload spreads that.
func (s *step) retire(w *Worker) {
	if at := s.retireAt(); w.Gen != s.target(w.Slot) && at.After(s.now) {
		w.DrainAt = at
		return
	}
	s.leave(w, w.replacedFor(s.serving(w.Slot)))
}

func (s *step) settleSpares() {
	ws := s.occupants(NoSlot)
	for i, w := range ws {
		if w.Gen != s.target(NoSlot) || i >= s.Policy.Spares {
			s.leave(w, ReasonSuperseded)
		}
	}
}

// need is a slot that shall get a worker.
type need struct {
	slot    int
	gen     Generation
	replace bool // somebody serves there meanwhile
	urgent  bool // but must not much longer
	work    int64
	since   time.Time
}

// fill spawns what is missing, within the limits: the longest due first, empty slots before replacements, spares last.
func (s *step) fill() {
	needs := s.needs()
	slices.SortStableFunc(needs, func(a, b need) int {
		if a.rank() != b.rank() {
			return cmp.Compare(a.rank(), b.rank())
		}
		return cmp.Or(cmp.Compare(b.work, a.work), a.since.Compare(b.since), cmp.Compare(a.slot, b.slot))
	})
	surge, starting := s.surging(), s.starting()
	for _, n := range needs {
		switch {
		case n.replace && surge >= s.room(n) && s.Want > 0:
		case !n.replace && s.promote(n):
		case starting >= s.Policy.MaxStarting:
		default:
			s.spawn(n.slot, n.gen)
			starting = s.starting()
			if n.replace {
				surge++
			}
		}
	}
	s.fillSpares()
}

func (s *step) needs() []need {
	var needs []need
	if s.crowded() {
		return nil
	}
	for slot := range min(s.Want, len(s.Slots)) {
		ws, gen := s.occupants(slot), s.target(slot)
		if !s.mayspawn(slot) {
			continue
		}
		if s.satisfied(ws, gen) {
			if !s.bereft(slot, ws) {
				continue
			}
			gen = s.Gen
		}
		serving := slices.ContainsFunc(ws, func(w *Worker) bool { return w.Phase == Serving })
		needs = append(needs, need{slot: slot, gen: gen, replace: serving, urgent: urges(ws), work: s.workOf(ws), since: s.Slots[slot].NextSpawn})
	}
	return needs
}

// satisfied tells whether the newest occupant is, or will be, what the slot needs.
func (s *step) satisfied(ws []*Worker, gen Generation) bool {
	for _, w := range slices.Backward(ws) {
		if w.Gen == gen {
			return (w.ID != s.Recycled || s.Rollout != nil) && !w.Urgent
		}
	}
	return false
}

func (s *step) mayspawn(slot int) bool {
	st := &s.Slots[slot]
	held := st.Failures > 0 && s.now.Before(s.HoldUntil)
	return !st.GaveUp && !held && !s.now.Before(st.NextSpawn)
}

// surging counts the workers above one per slot that are not yet told to go.
func (s *step) surging() int {
	extra := 0
	for slot := range s.Slots {
		extra += max(0, len(s.occupants(slot))-1)
	}
	return extra
}

// starting counts the boots under way, without that of a canary: one that hangs would keep every slot that has lost its worker waiting.
func (s *step) starting() int {
	n := 0
	for i := range s.Workers {
		if w := &s.Workers[i]; w.Phase == Starting && !w.Promoted && !s.isCanary(w) {
			n++
		}
	}
	return n
}

func (s *step) spawn(slot int, gen Generation) {
	w := Worker{ID: s.NextID, Slot: slot, Gen: gen, Phase: Starting, Spread: s.spread()}
	s.NextID++
	s.Workers = append(s.Workers, w)
	s.seat()
	s.emit(Spawn{Worker: w.ID, Slot: slot, Gen: gen})
}

// promote puts a waiting spare of the right generation into the slot.
func (s *step) promote(n need) bool {
	for _, w := range s.occupants(NoSlot) {
		if w.Phase == Waiting && w.Gen == n.gen {
			w.Slot, w.Phase, w.Promoted = n.slot, Starting, true
			w.StartBy = s.now.Add(s.Policy.StartTimeout)
			s.seats = seats{}
			s.emit(Promote{Worker: w.ID, Slot: n.slot})
			return true
		}
	}
	return false
}

func (s *step) fillSpares() {
	if s.Want == 0 || s.now.Before(s.SpareNext) || s.givenUp() || s.crowded() {
		return
	}
	for n := len(s.occupants(NoSlot)); n < s.Policy.Spares && s.starting() < s.Policy.MaxStarting; n++ {
		s.spawn(NoSlot, s.target(NoSlot))
	}
}

// shrink closes the last slots that nobody wants and nobody holds.
func (s *step) shrink() {
	for n := len(s.Slots); n > s.Want; n-- {
		if slices.ContainsFunc(s.Workers, func(w Worker) bool { return w.Slot == n-1 }) {
			return
		}
		s.Slots = s.Slots[:n-1]
		s.emit(CloseSlot{Slot: n - 1})
	}
}
