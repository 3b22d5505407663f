package schedule

import "time"

// Next returns the first instant after that moment at which the schedule is due. It is zero when there is none within years.
func (s *Schedule) Next(after time.Time) time.Time {
	t := after.In(s.zone).Truncate(time.Second).Add(time.Second)
	for limit := t.AddDate(horizon, 0, 0); t.Before(limit); {
		span := spanOf(t)
		if due, ok := s.within(span, t); ok {
			return due
		}
		if span.end.IsZero() {
			return time.Time{}
		}
		t = span.end
	}
	return time.Time{}
}

// horizon is more than the eight years without a 29 February around 2100.
const horizon = 9

// span is a time in which the zone's clocks were not changed: what they show is linear.
type span struct {
	start, end time.Time // zero: unbounded
	offset     time.Duration
	before     time.Duration // the offset that was in force before start
}

func spanOf(t time.Time) span {
	var sp span
	sp.start, sp.end = t.ZoneBounds()
	sp.offset = offsetOf(t)
	sp.before = sp.offset
	if !sp.start.IsZero() {
		sp.before = offsetOf(sp.start.Add(-time.Second))
	}
	return sp
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// wall is what a clock with that offset shows at t, as a time in UTC.
func wall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

// within finds the first due instant from t on in a span.
func (s *Schedule) within(sp span, t time.Time) (time.Time, bool) {
	from := wall(t, sp.offset)
	if !s.set[hour].full && !sp.start.IsZero() {
		skipped := wall(sp.start, sp.before) // clocks jumped from here to the span's beginning, or back to it
		if t.Equal(sp.start) && skipped.Before(from) {
			if due := s.match(skipped, from); !due.IsZero() {
				return t, true
			}
		}
		if from.Before(skipped) { // clocks showed this before
			from = skipped
		}
	}
	end := from.AddDate(horizon, 0, 0)
	if !sp.end.IsZero() {
		end = wall(sp.end, sp.offset)
	}
	due := s.match(from, end)
	if due.IsZero() {
		return time.Time{}, false
	}
	return due.Add(-sp.offset).In(s.zone), true
}

// match returns the first time on a clock that fits the fields, from on and before end; zero if there is none.
func (s *Schedule) match(from, end time.Time) time.Time {
	for day := midnight(from); day.Before(end); day = s.nextDay(day) {
		if !s.onDay(day) {
			continue
		}
		start := day
		if day.Before(from) {
			start = from
		}
		if at, ok := s.ofDay(start); ok {
			if at.Before(end) {
				return at
			}
			return time.Time{}
		}
	}
	return time.Time{}
}

func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// nextDay skips months that do not fit as a whole.
func (s *Schedule) nextDay(day time.Time) time.Time {
	y, m, d := day.Date()
	if !s.set[month].has(int(m)) {
		return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// onDay tells whether a day fits. Where both the day of the month and that of the week are narrowed, either will do, as in every cron.
func (s *Schedule) onDay(day time.Time) bool {
	if !s.set[month].has(int(day.Month())) {
		return false
	}
	inMonth := s.set[dayOfMonth].has(day.Day()) || s.last && day.AddDate(0, 0, 1).Day() == 1
	inWeek := s.set[dayOfWeek].has(int(day.Weekday()))
	if s.set[dayOfMonth].any || s.set[dayOfWeek].any {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// ofDay returns the first time of the day from t on that fits.
func (s *Schedule) ofDay(t time.Time) (time.Time, bool) {
	h, m, sec := t.Clock()
	if sec = s.set[second].next(sec); sec < 0 {
		m, sec = m+1, s.set[second].next(0)
	}
	m2 := s.set[minute].next(m)
	if m2 != m {
		sec = s.set[second].next(0)
	}
	if m2 < 0 {
		h, m2 = h+1, s.set[minute].next(0)
	}
	h2 := s.set[hour].next(h)
	switch {
	case h2 < 0:
		return time.Time{}, false
	case h2 != h:
		m2, sec = s.set[minute].next(0), s.set[second].next(0)
	}
	y, mon, d := t.Date()
	return time.Date(y, mon, d, h2, m2, sec, 0, time.UTC), true
}
