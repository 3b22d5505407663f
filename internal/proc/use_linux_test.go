package proc

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	before := Sessions()
	sid, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; { // what is computed shows
	}
	own, was := Sessions()[sid], before[sid]
	if own.CPU <= was.CPU || own.Processes < 1 || own.Memory < int64(os.Getpagesize()) {
		t.Errorf("%+v, before %+v", own, was)
	}
}

func TestUseOfALine(t *testing.T) {
	t.Parallel()
	all := map[int]Use{}
	count(all, 7, "7 (a b) c) S 1 7 7 0 -1 4194304 1 2 3 4 100 50 20 30 20 0 1 0 4242 1000 5 18446744073709551615 1", 4096)
	count(all, 8, "8 (x) S 7 7 7 0 -1 4194304 1 2 3 4 1 0 0 0 20 0 1 0 4250 1000 2 18446744073709551615 1", 4096)
	count(all, 9, "9 (x", 4096)
	want := map[int]Use{7: {CPU: 2010 * time.Millisecond, Memory: 7 * 4096, Processes: 2, Born: 4242}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}
