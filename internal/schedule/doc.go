// Package schedule knows when something is due by the calendar. It is told the time and starts no timer.
//
// An expression has five fields, minute hour day-of-month month day-of-week, or six with seconds in front of them, or is one of @hourly,
// @daily, @weekly, @monthly and @yearly. It may begin with CRON_TZ=ZONE.
//
// Days on which clocks change are exact. A time that does not exist is due once, at the first instant after the gap. A time that exists
// twice is due once, the first time. Where the hour is *, the schedule counts hours as they pass instead: nothing is due for the hour that
// is left out, and the hour that comes twice is due twice, so that a job of every minute never pauses.
package schedule
