package schedule_test

import (
	"testing"
	"time"

	"github.com/musterd/muster/internal/schedule"
	"pgregory.net/rapid"
)

func TestLook(t *testing.T) {
	t.Parallel()
	at := func(clock string) time.Time {
		d, err := time.Parse(time.DateTime, "2026-01-"+clock)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	type look struct {
		at     string
		due    string // empty: nothing
		run    bool
		missed int
	}
	tests := []struct {
		name, text string
		late       time.Duration
		looks      []look
	}{
		{"in time", "0 3 * * *", time.Minute, []look{{"01 12:00:00", "", false, 0}, {"02 02:59:59", "", false, 0}, {"02 03:00:00", "02 03:00:00", true, 0}, {"02 03:00:00", "", false, 0}, {"02 03:00:01", "", false, 0}}},
		{"a little late", "0 3 * * *", time.Minute, []look{{"01 12:00:00", "", false, 0}, {"02 03:01:00", "02 03:00:00", true, 0}}},
		{"too late", "0 3 * * *", time.Minute, []look{{"01 12:00:00", "", false, 0}, {"02 03:01:01", "02 03:00:00", false, 1}, {"02 03:01:02", "", false, 0}, {"03 03:00:00", "03 03:00:00", true, 0}}},
		{"after a pause the last one runs", "*/10 * * * *", time.Minute, []look{{"01 12:05:00", "", false, 0}, {"01 13:00:30", "01 13:00:00", true, 5}}},
		{"or none", "*/10 * * * *", time.Minute, []look{{"01 12:05:00", "", false, 0}, {"01 13:05:00", "01 13:00:00", false, 6}}},
		{"a day later, if one says so", "0 3 * * *", 24 * time.Hour, []look{{"01 12:00:00", "", false, 0}, {"04 02:00:00", "03 03:00:00", true, 1}}},
		{"set back a little: not again", "0 3 * * *", time.Minute, []look{{"01 12:00:00", "", false, 0}, {"02 03:00:00", "02 03:00:00", true, 0}, {"02 02:30:00", "", false, 0}, {"02 03:00:00", "", false, 0}, {"03 03:00:00", "03 03:00:00", true, 0}}},
		{"set back a day: from there", "0 3 * * *", time.Minute, []look{{"05 12:00:00", "", false, 0}, {"06 03:00:00", "06 03:00:00", true, 0}, {"03 12:00:00", "", false, 0}, {"04 03:00:00", "04 03:00:00", true, 0}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, table := parse(t, test.text, time.UTC), schedule.Timetable{}
			for _, l := range test.looks {
				want := schedule.Due{Run: l.run, Missed: l.missed}
				if l.due != "" {
					want.At = at(l.due)
				}
				if got := table.Look(s, at(l.at), test.late); got != want {
					t.Fatalf("at %s: got %+v, want %+v", l.at, got, want)
				}
			}
		})
	}
}

func TestAnotherScheduleBeginsAnew(t *testing.T) {
	t.Parallel()
	table, now := schedule.Timetable{}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	table.Look(parse(t, "0 13 * * *", time.UTC), now, 0)
	if d := table.Look(parse(t, "30 12 * * *", time.UTC), now.Add(2*time.Hour), 0); !d.At.IsZero() || table.Next.Day() != 2 {
		t.Errorf("got %+v, next %v", d, table.Next)
	}
	if d := table.Look(nil, now.Add(3*time.Hour), 0); d != (schedule.Due{}) || table != (schedule.Timetable{}) {
		t.Errorf("got %+v, left %+v", d, table)
	}
}

// TestEveryFiringIsAccountedFor looks at random moments: what was due was run or missed, each once.
func TestEveryFiringIsAccountedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15 2,3 * * *", "0 0 0 * * SUN", "*/30 * * * * *"}).Draw(t, "text")
		name := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}).Draw(t, "zone")
		zone, err := schedule.LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := schedule.Parse(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, rapid.SampledFrom([]time.Month{3, 10, 11}).Draw(t, "month"), 1, 0, 0, 0, 0, zone)
		var table schedule.Timetable
		late := time.Duration(rapid.IntRange(0, 7200).Draw(t, "late")) * time.Second
		table.Look(s, start, late)
		now, counted := start, 0
		for range rapid.IntRange(1, 40).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100_000).Draw(t, "pause")) * time.Second)
			d := table.Look(s, now, late)
			counted += d.Missed
			if d.Run {
				counted++
			}
			if d.Run && (d.At.After(now) || now.Sub(d.At) > max(late, time.Second)) {
				t.Fatalf("at %v it ran what was due at %v", now, d.At)
			}
		}
		if want := len(followed(s, start, now)); counted != want {
			t.Fatalf("%d were due, %d accounted for", want, counted)
		}
	})
}
