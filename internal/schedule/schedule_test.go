package schedule_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/schedule"
)

func parse(t testing.TB, text string, zone *time.Location) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, zone)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := schedule.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestNext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		from string
		want []string
	}{
		{"*/15 * * * *", "2026-01-31 23:40:00", []string{"2026-01-31 23:45:00", "2026-02-01 00:00:00", "2026-02-01 00:15:00"}},
		{"0 3 * * *", "2026-01-01 03:00:00", []string{"2026-01-02 03:00:00", "2026-01-03 03:00:00"}},
		{"0 3 * * *", "2026-01-01 02:59:59", []string{"2026-01-01 03:00:00"}},
		{"30 8-10/2 * * MON-FRI", "2026-01-02 09:00:00", []string{"2026-01-02 10:30:00", "2026-01-05 08:30:00"}},
		{"0 0 13 * FRI", "2026-02-01 00:00:00", []string{"2026-02-06 00:00:00", "2026-02-13 00:00:00", "2026-02-20 00:00:00", "2026-02-27 00:00:00", "2026-03-06 00:00:00", "2026-03-13 00:00:00"}},
		{"0 0 */2 * MON", "2026-03-01 12:00:00", []string{"2026-03-09 00:00:00", "2026-03-23 00:00:00"}},
		{"0 12 L * *", "2027-12-30 00:00:00", []string{"2027-12-31 12:00:00", "2028-01-31 12:00:00", "2028-02-29 12:00:00"}},
		{"0 0 29 2 *", "2096-03-01 00:00:00", []string{"2104-02-29 00:00:00"}},
		{"0 0 1 jan,JUL ?", "2026-01-01 00:00:00", []string{"2026-07-01 00:00:00", "2027-01-01 00:00:00"}},
		{"0 0 * * 7", "2026-01-01 00:00:00", []string{"2026-01-04 00:00:00"}},
		{"0 0 * * 0", "2026-01-01 00:00:00", []string{"2026-01-04 00:00:00"}},
		{"0 0 * * 5-7", "2026-01-01 00:00:00", []string{"2026-01-02 00:00:00", "2026-01-03 00:00:00", "2026-01-04 00:00:00", "2026-01-09 00:00:00"}},
		{"*/20 59 23 31 12 *", "2026-01-01 00:00:00", []string{"2026-12-31 23:59:00", "2026-12-31 23:59:20", "2026-12-31 23:59:40", "2027-12-31 23:59:00"}},
		{"10/20 0 * * *", "2026-01-01 00:00:00", nil},
		{"40/10 0 * * *", "2026-01-01 00:00:00", []string{"2026-01-01 00:40:00", "2026-01-01 00:50:00", "2026-01-02 00:40:00"}},
		{"@daily", "2026-01-01 00:00:00", []string{"2026-01-02 00:00:00"}},
		{"@hourly", "2026-01-01 00:00:00", []string{"2026-01-01 01:00:00"}},
		{"@weekly", "2026-01-01 00:00:00", []string{"2026-01-04 00:00:00"}},
		{"@monthly", "2026-01-01 00:00:00", []string{"2026-02-01 00:00:00"}},
		{"@yearly", "2026-01-01 00:00:00", []string{"2027-01-01 00:00:00"}},
	}
	for _, test := range tests {
		t.Run(test.text+" from "+test.from, func(t *testing.T) {
			t.Parallel()
			s := parse(t, test.text, time.UTC)
			at, err := time.Parse(time.DateTime, test.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				at = s.Next(at)
				if got := at.Format(time.DateTime); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestClocksChange(t *testing.T) {
	t.Parallel()
	const form = "02 15:04 -0700"
	tests := []struct {
		name, text, zone, from string
		want                   []string
	}{
		{"a time left out is due at the end of the gap", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"29 03:00 +0200", "30 02:30 +0200"}},
		{"several are due there once", "0,20,40 2,3 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", []string{"29 03:00 +0200", "29 03:20 +0200"}},
		{"a time that comes twice is due the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"25 02:30 +0200", "26 02:30 +0100"}},
		{"a look between the two changes nothing", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", []string{"26 02:30 +0100"}},
		{"a look in the second hour neither", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", []string{"26 02:30 +0100"}},
		{"the end of the hour that comes twice", "0 3 * * *", "Europe/Berlin", "2026-10-25T00:59:59Z", []string{"25 03:00 +0100"}},
		{"every half hour goes on, forward", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"}},
		{"every half hour goes on, back", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", []string{"25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100"}},
		{"once an hour, forward", "15 * * * *", "America/New_York", "2026-03-08T06:00:00Z", []string{"08 01:15 -0500", "08 03:15 -0400"}},
		{"a change at midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"04 01:00 -0200", "05 00:00 -0200"}},
		{"a change of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"04 02:30 +1100", "05 02:15 +1100"}},
		{"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", []string{"05 01:45 +1100", "06 01:45 +1030"}},
		{"a day that was left out", "0 3 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", []string{"29 03:00 -1000", "31 00:00 +1400", "31 03:00 +1400"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, test.text, zone(t, test.zone))
			at, err := time.Parse(time.RFC3339, test.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				at = s.Next(at)
				if got := at.Format(form); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestErrorsNameFieldAndPosition(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want, hint string }{
		{"0 25 * * *", `hour "25" at position 3: is not a number from 0 to 23`, "write values such as 1, 1-5, */10, or * for all"},
		{"0 3 * * MON,FOO", `day of week "FOO" at position 13: is not a number from 0 to 7 or a name from SUN to SAT`, "write values such as SUN, SUN-TUE, or * for all"},
		{"60 * * * *", `minute "60" at position 1: is not a number from 0 to 59`, "write values such as 1, 1-5, */10, or * for all"},
		{"0 0 0 * *", `day of month "0" at position 5: is not a number from 1 to 31`, "write values such as 1, 1-5, */10, or * for all"},
		{"0 22-2 * * *", `hour "22-2" at position 3: the range ends before it begins`, "write two ranges with a comma between them"},
		{"*/0 * * * *", `minute "*/0" at position 1: the step is not a number from 1 to 59`, "write */5 for every fifth"},
		{"0 0 * * 5#2", `day of week "5#2" at position 9: is not a number from 0 to 7 or a name from SUN to SAT`, "write values such as SUN, SUN-TUE, or * for all"},
		{"? * * * *", `minute "?" at position 1: is not a number from 0 to 59`, "write values such as 1, 1-5, */10, or * for all"},
		{"  0  3 x * *", `day of month "x" at position 8: is not a number from 1 to 31`, "write values such as 1, 1-5, */10, or * for all"},
		{"0 0 30 2 *", "it is never due: no such day exists", "the day of the month and the month do not go together"},
		{"", "is empty", `write minute, hour, day of month, month and day of week, as "0 3 * * *" for 3 o'clock each day`},
		{"* * *", "has 3 fields, not 5 (or 6 with seconds)", `write minute, hour, day of month, month and day of week, as "0 3 * * *" for 3 o'clock each day`},
		{"3am", "has 1 field, not 5 (or 6 with seconds)", `write minute, hour, day of month, month and day of week, as "0 3 * * *" for 3 o'clock each day`},
		{"@every 5m", "has 2 fields, not 5 (or 6 with seconds)", `write minute, hour, day of month, month and day of week, as "0 3 * * *" for 3 o'clock each day`},
		{"@dayly", `schedule "@dayly" at position 1: is not known`, "the names are @hourly, @daily, @weekly, @monthly and @yearly; every five minutes is */5 * * * *"},
		{"CRON_TZ=Europe/Berln 0 3 * * *", `time zone "Europe/Berln" at position 1: is not known`, "write a name such as Europe/Berlin, UTC or Local"},
		{"TZ= 0 3 * * *", `time zone "" at position 1: is not known`, "write a name such as Europe/Berlin, UTC or Local"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			_, err := schedule.Parse(test.text, time.UTC)
			e, ok := errors.AsType[*schedule.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if e.Error() != test.want || e.Hint != test.hint {
				t.Errorf("got  %s\nhint %s\nwant %s\nhint %s", e, e.Hint, test.want, test.hint)
			}
		})
	}
}

func TestScheduleInADocument(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	berlin := zone(t, "Europe/Berlin")
	for _, s := range []*schedule.Schedule{
		parse(t, " 0   3 * * * ", berlin), parse(t, "CRON_TZ=Asia/Tokyo @daily", berlin), parse(t, "@hourly", nil), parse(t, "1 2 3 4 5 6", time.UTC),
	} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back schedule.Schedule
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if back.String() != s.String() || !back.Next(from).Equal(s.Next(from)) {
			t.Errorf("%s became %s", s, &back)
		}
	}
}

// TestEveryDayOfAMonth follows schedules through months in which clocks change, and compares each with a list made by looking at every minute.
func TestEveryDayOfAMonth(t *testing.T) {
	t.Parallel()
	rules := []struct {
		text    string
		hourly  bool // its hour is *
		matches func(t time.Time) bool
	}{
		{"0 3 * * *", false, func(t time.Time) bool { return t.Hour() == 3 && t.Minute() == 0 }},
		{"30 2 * * *", false, func(t time.Time) bool { return t.Hour() == 2 && t.Minute() == 30 }},
		{"0 0 * * *", false, func(t time.Time) bool { return t.Hour() == 0 && t.Minute() == 0 }},
		{"*/20 0-4 * * *", false, func(t time.Time) bool { return t.Hour() <= 4 && t.Minute()%20 == 0 }},
		{"7 */2 * * *", false, func(t time.Time) bool { return t.Hour()%2 == 0 && t.Minute() == 7 }},
		{"30 1,2 * * SUN", false, func(t time.Time) bool {
			return t.Weekday() == time.Sunday && (t.Hour() == 1 || t.Hour() == 2) && t.Minute() == 30
		}},
		{"* * * * *", true, func(time.Time) bool { return true }},
		{"45 * * * *", true, func(t time.Time) bool { return t.Minute() == 45 }},
		{"*/10 * * * SUN", true, func(t time.Time) bool { return t.Weekday() == time.Sunday && t.Minute()%10 == 0 }},
	}
	months := []struct{ zone, from string }{
		{"Europe/Berlin", "2026-03-10"}, {"Europe/Berlin", "2026-10-10"}, {"America/New_York", "2026-02-20"}, {"America/New_York", "2026-10-20"},
		{"Australia/Lord_Howe", "2026-03-20"}, {"Australia/Lord_Howe", "2026-09-20"}, {"America/Sao_Paulo", "2018-02-05"}, {"America/Sao_Paulo", "2018-10-20"},
		{"Africa/Casablanca", "2026-02-05"}, {"Africa/Casablanca", "2026-03-05"}, {"Asia/Kolkata", "2026-03-10"}, {"Pacific/Apia", "2011-12-10"}, {"UTC", "2026-03-10"},
	}
	for _, month := range months {
		t.Run(month.zone+" "+month.from, func(t *testing.T) {
			t.Parallel()
			z := zone(t, month.zone)
			from, err := time.ParseInLocation(time.DateOnly, month.from, z)
			if err != nil {
				t.Fatal(err)
			}
			to := from.Add(30 * 24 * time.Hour)
			for _, rule := range rules {
				want := byEveryMinute(from, to, rule.hourly, rule.matches)
				got := followed(parse(t, rule.text, z), from, to)
				if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", rule.text, diff)
				}
			}
		})
	}
}

func followed(s *schedule.Schedule, from, to time.Time) []time.Time {
	var all []time.Time
	for at := s.Next(from); !at.IsZero() && !at.After(to); at = s.Next(at) {
		all = append(all, at)
	}
	return all
}

// byEveryMinute lists when a rule is due after from and until to, by what clocks show in each minute that passes.
func byEveryMinute(from, to time.Time, hourly bool, matches func(time.Time) bool) []time.Time {
	var all []time.Time
	shown := func(t time.Time) time.Time { // what clocks show, as if in UTC
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	}
	latest := shown(from)
	for at := from.Add(time.Minute); !at.After(to); at = at.Add(time.Minute) {
		now := shown(at)
		due := false
		if hourly {
			due = matches(now)
		}
		for ; !hourly && latest.Before(now); latest = latest.Add(time.Minute) { // more than one where clocks jump
			due = due || matches(latest.Add(time.Minute))
		}
		if due {
			all = append(all, at)
		}
	}
	return all
}

func texts(times []time.Time) []string {
	var all []string
	for _, at := range times {
		all = append(all, at.Format(time.RFC3339))
	}
	return slices.Clip(all)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*/5 * * * *", "0 3 * * MON-FRI", "CRON_TZ=Europe/Berlin 0 3 L * *", "@daily", "1,2,3 4-5/6 ? JAN-DEC 7", "0 0 30 2 *", "99999999999 * * * *", "-1 * * * *", "1-/ * * * *", "*,* * * * *", "\u00a0 * * * * *"} {
		f.Add(seed)
	}
	at := time.Date(2026, 3, 28, 22, 11, 5, 77, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text, time.UTC)
		if err != nil {
			e, ok := errors.AsType[*schedule.Error](err)
			if !ok || e.Position > len(text) || e.Field != "" && e.Position < 1 {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		next := s.Next(at)
		if !next.After(at) || !s.Next(next).After(next) {
			t.Errorf("%q is due at %v", text, next)
		}
		again, err := schedule.Parse(s.String(), time.UTC)
		if err != nil || !again.Next(at).Equal(next) {
			t.Errorf("%q became %q: %v", text, s, err)
		}
	})
}
