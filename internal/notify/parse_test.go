package notify

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	tests := []struct {
		name, in string
		want     Message
		errs     []string // parts of the error
	}{
		{name: "nothing", in: ""},
		{name: "ready", in: "READY=1", want: Message{Ready: true}},
		{name: "newline at the end", in: "READY=1\n", want: Message{Ready: true}},
		{name: "NUL at the end", in: "READY=1\x00", want: Message{Ready: true}},
		{name: "empty lines", in: "\n\nSTOPPING=1\n\n", want: Message{Stopping: true}},
		{
			name: "reload", in: "RELOADING=1\nMONOTONIC_USEC=18446744073709551615",
			want: Message{Reloading: true, MonotonicUSec: math.MaxUint64},
		},
		{name: "status", in: "STATUS=a=b, Grüße", want: Message{Status: "a=b, Grüße", HasStatus: true}},
		{name: "status cleared", in: "STATUS=", want: Message{HasStatus: true}},
		{name: "last wins", in: "STATUS=a\nSTATUS=b", want: Message{Status: "b", HasStatus: true}},
		{name: "last good wins", in: "MAINPID=7\nMAINPID=x", want: Message{MainPID: 7}, errs: []string{`MAINPID="x"`}},
		{name: "errno", in: "ERRNO=2", want: Message{Errno: 2}},
		{name: "pid 0", in: "MAINPID=0\nREADY=1", want: Message{Ready: true}, errs: []string{"MAINPID"}},
		{name: "pid too large", in: "MAINPID=2147483648", errs: []string{"MAINPID"}},
		{name: "signed", in: "ERRNO=-1\nMAINPID=+3", errs: []string{"ERRNO", "MAINPID"}},
		{name: "ping", in: "WATCHDOG=1", want: Message{Watchdog: WatchdogPing}},
		{name: "trigger", in: "WATCHDOG=trigger", want: Message{Watchdog: WatchdogTrigger}},
		{name: "watchdog of no kind", in: "WATCHDOG=2", errs: []string{"WATCHDOG"}},
		{name: "period", in: "WATCHDOG_USEC=1500000", want: Message{WatchdogPeriod: 1500 * time.Millisecond, HasWatchdogPeriod: true}},
		{name: "no watch", in: "WATCHDOG_USEC=0", want: Message{HasWatchdogPeriod: true}},
		{
			name: "for ever", in: "EXTEND_TIMEOUT_USEC=18446744073709551615",
			want: Message{ExtendTimeout: math.MaxInt64 / 1000 * time.Microsecond},
		},
		{name: "period of no number", in: "WATCHDOG_USEC=1s", errs: []string{"WATCHDOG_USEC"}},
		{name: "store", in: "FDSTORE=1\nFDNAME=ws\nFDPOLL=0", want: Message{FDStore: true, FDName: "ws", FDPoll: &no}},
		{name: "poll", in: "FDPOLL=1", want: Message{FDPoll: &yes}},
		{name: "poll of no kind", in: "FDPOLL=no", errs: []string{"FDPOLL"}},
		{name: "remove", in: "FDSTOREREMOVE=1\nFDNAME=ws", want: Message{FDStoreRemove: true, FDName: "ws"}},
		{name: "name with a colon", in: "FDSTORE=1\nFDNAME=a:b", want: Message{FDStore: true}, errs: []string{`FDNAME="a:b"`}},
		{name: "barrier", in: "BARRIER=1", want: Message{Barrier: true}},
		{name: "barrier in company", in: "READY=1\nBARRIER=1", want: Message{Ready: true}, errs: []string{"BARRIER"}},
		{
			name: "unknown", in: "X_A=1\nREADY=1\nNOTIFYACCESS=all\nX_A=2",
			want: Message{Ready: true, Unknown: []string{"X_A=1", "NOTIFYACCESS=all", "X_A=2"}},
		},
		{name: "flags that are not 1", in: "READY=0\nSTOPPING=yes", errs: []string{"READY", "STOPPING"}},
		{name: "no key", in: "=1\nREADY=1", want: Message{Ready: true}, errs: []string{`"=1"`}},
		{name: "no value", in: "READY\nSTOPPING=1", want: Message{Stopping: true}, errs: []string{`"READY"`}},
		{name: "status of no UTF-8", in: "STATUS=\xff\nREADY=1", want: Message{Ready: true}, errs: []string{"STATUS"}},
		{name: "NUL inside", in: "READY=1\x00STOPPING=1", errs: []string{"NUL"}},
		{name: "too long", in: "READY=1\nSTATUS=" + strings.Repeat("x", MaxSize), errs: []string{"longer than 4096"}},
		{name: "many errors", in: strings.Repeat("x\n", 100), errs: []string{"and 96 more"}},
		{name: "long bad value", in: "READY=" + strings.Repeat("x", 4000), errs: []string{"x\"…: not 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(tt.in))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			checkError(t, err, tt.errs)
		})
	}
}

func checkError(t *testing.T, err error, parts []string) {
	t.Helper()
	if (err != nil) != (len(parts) > 0) {
		t.Fatalf("error %v, want parts %q", err, parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %s", err, part)
		}
	}
	if err != nil && len(err.Error()) > 1000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

func TestAppendSanitises(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   Message
		want string
	}{
		{"status", Message{Status: "a\nREADY=1\x00\xff"}, "STATUS=a READY=1 \uFFFD"},
		{"negative", Message{Errno: -1, MainPID: -1, WatchdogPeriod: -1, ExtendTimeout: -1}, ""},
		{"below a microsecond", Message{WatchdogPeriod: 999, HasWatchdogPeriod: true, ExtendTimeout: 1999}, "WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=1"},
		{"watchdog", Message{Watchdog: "x\nREADY=1"}, ""},
		{"name", Message{FDStore: true, FDName: "a:b"}, "FDSTORE=1"},
		{"unknown", Message{Unknown: []string{"A=b\nREADY=1", "READY=1", "x", "=", "X_B=c"}}, "X_B=c"},
		{"barrier", Message{Barrier: true, Ready: true}, "BARRIER=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, string(tt.in.Append(nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendKeepsPrefix(t *testing.T) {
	t.Parallel()
	if got := string(Message{Ready: true, Stopping: true}.Append([]byte("x"))); got != "xREADY=1\nSTOPPING=1" {
		t.Errorf("got %q", got)
	}
}

func genMessage(t *rapid.T) Message {
	if rapid.IntRange(0, 9).Draw(t, "barrier") == 0 {
		return Message{Barrier: true}
	}
	micros := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(maxMicros)).Draw(t, name)) * time.Microsecond
	}
	m := Message{
		Ready: rapid.Bool().Draw(t, "ready"), Stopping: rapid.Bool().Draw(t, "stopping"), Reloading: rapid.Bool().Draw(t, "reloading"),
		Status: rapid.StringMatching(`[^\n\x00]{0,40}`).Draw(t, "status"), HasStatus: true,
		Errno: rapid.IntRange(0, math.MaxInt32).Draw(t, "errno"), MainPID: rapid.IntRange(0, math.MaxInt32).Draw(t, "pid"),
		Watchdog:       rapid.SampledFrom([]string{"", WatchdogPing, WatchdogTrigger}).Draw(t, "watchdog"),
		WatchdogPeriod: micros("watchdog_usec"), HasWatchdogPeriod: true, ExtendTimeout: micros("extend"),
		FDStore: rapid.Bool().Draw(t, "store"), FDStoreRemove: rapid.Bool().Draw(t, "remove"),
		FDName:        rapid.StringMatching(`[ -9;-~]{0,255}`).Draw(t, "name"),
		FDPoll:        rapid.Ptr(rapid.Bool(), true).Draw(t, "poll"),
		MonotonicUSec: rapid.Uint64().Draw(t, "monotonic"),
	}
	unknown := rapid.SliceOfN(rapid.StringMatching(`X_[A-Z]{1,5}=[^\n\x00]{0,20}`), 0, 5).Draw(t, "unknown")
	if len(unknown) > 0 {
		m.Unknown = unknown
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := genMessage(t)
		if want.Barrier {
			want = Message{Barrier: true}
		}
		wire := want.Append(nil)
		got, err := Parse(wire)
		if err != nil {
			t.Fatalf("parse %q: %v", wire, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzParse checks that whatever was understood of a stranger's datagram is understood again, without an error, when it is passed
// on, and is no longer than it was.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"READY=1\nSTATUS=ok", "BARRIER=1", "BARRIER=1\nX=y", "WATCHDOG_USEC=99999999999999999999", "FDSTORE=1\nFDNAME=a:b\nFDPOLL=0",
		"\x00", "a\x00b", "=\n==\nREADY=\n", "STATUS=\xff", "MAINPID=007\nERRNO=0", "WATCHDOG_USEC=000",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, _ := Parse(in)
		wire := m.Append(nil)
		if len(wire) > len(in) {
			t.Errorf("%d bytes became %d", len(in), len(wire))
		}
		again, err := Parse(wire)
		if err != nil {
			t.Errorf("parse %q: %v", wire, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}
