package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// kept bounds Result.Slow and Result.Failures.
const kept = 1000

// Result is what the clients saw. Requests is the sum of the counts by Kind.
type Result struct {
	Requests  int // requests that ended, retries not counted
	OK        int
	BadStatus int
	Refused   int
	Reset     int
	ResetMid  int
	EOF       int
	Truncated int
	Timeout   int
	Other     map[string]int // by error text

	Connections int // opened successfully
	Retried     int // requests sent again on a new connection because an idle one was closed without a byte of response

	Latency  Histogram     // of the answered requests (OK and BadStatus), from connect or write to the last byte
	ByPID    map[int]int   // answered requests by the number after "pid: " in the body
	Slow     []Slow        // the first thousand, in order of time
	Failures []Failure     // the first thousand, in order of time
	Statuses map[int]int   // answered requests by status
	Elapsed  time.Duration // from the first request to the end of the last
	Started  time.Time     // of the run
}

// Slow is an answered request that took longer than Options.SlowAfter.
type Slow struct {
	At   time.Time // its start
	Took time.Duration
	PID  int // 0 if the body names none
}

// Failure is a request that was not answered with OK.
type Failure struct {
	At    time.Time // its end
	Kind  Kind
	Local string // the client's address, empty if there was no connection
	Err   string
}

// Failed is the number of requests that did not end OK.
func (r *Result) Failed() int { return r.Requests - r.OK }

// Rate is the number of OK requests per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.OK) / r.Elapsed.Seconds()
}

// PIDs are the process ids that answered, ascending.
func (r *Result) PIDs() []int { return slices.Sorted(maps.Keys(r.ByPID)) }

// String is a report of a few lines.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests in %v: %d ok, %d failed", r.Requests, r.Elapsed.Round(time.Millisecond), r.OK, r.Failed())
	for k := BadStatus; k < Other; k++ {
		if n := *r.count(k); n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, k)
		}
	}
	for text, n := range r.Other {
		fmt.Fprintf(&b, ", %d %q", n, text)
	}
	fmt.Fprintf(&b, "; %d retried, %d connections, p50 %v p90 %v p99 %v max %v; by pid %v",
		r.Retried, r.Connections, r.Latency.Quantile(.5), r.Latency.Quantile(.9), r.Latency.Quantile(.99), r.Latency.Max(), r.ByPID)
	for _, f := range r.Failures[:min(len(r.Failures), 5)] {
		fmt.Fprintf(&b, "\n  %v after start: %s from %s: %s", f.At.Sub(r.Started).Round(time.Millisecond), f.Kind, f.Local, f.Err)
	}
	return b.String()
}

// count is the counter of k, which must not be Other.
func (r *Result) count(k Kind) *int {
	return [...]*int{&r.OK, &r.BadStatus, &r.Refused, &r.Reset, &r.ResetMid, &r.EOF, &r.Truncated, &r.Timeout}[k]
}

func newResult() *Result {
	return &Result{Other: map[string]int{}, ByPID: map[int]int{}, Statuses: map[int]int{}}
}

// merge adds what another client saw.
func (r *Result) merge(o *Result) {
	r.Requests += o.Requests
	for k := range Other {
		*r.count(k) += *o.count(k)
	}
	r.Connections += o.Connections
	r.Retried += o.Retried
	addCounts(r.Other, o.Other)
	addCounts(r.ByPID, o.ByPID)
	addCounts(r.Statuses, o.Statuses)
	r.Latency.Merge(&o.Latency)
	r.Slow = append(r.Slow, o.Slow...)
	r.Failures = append(r.Failures, o.Failures...)
}

// order sorts the lists by time and cuts them.
func (r *Result) order() {
	slices.SortFunc(r.Slow, func(a, b Slow) int { return a.At.Compare(b.At) })
	slices.SortFunc(r.Failures, func(a, b Failure) int { return a.At.Compare(b.At) })
	r.Slow = r.Slow[:min(len(r.Slow), kept)]
	r.Failures = r.Failures[:min(len(r.Failures), kept)]
}

func addCounts[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}
