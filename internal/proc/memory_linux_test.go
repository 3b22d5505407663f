package proc

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMemory(t *testing.T) {
	self := []int{os.Getpid()}
	const size = 64 << 20
	before := Resident(self)
	area, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(area) })
	for i := 0; i < size; i += os.Getpagesize() {
		area[i] = 1
	}
	after := Resident(self)
	if grown := after - before; grown < size*3/4 || grown > size*2 {
		t.Errorf("resident memory grew by %d, want about %d", grown, size)
	}
	pss, ok := Proportional(self)
	if !ok || pss < size || pss > after*2 {
		t.Errorf("proportional %d, %v; resident %d", pss, ok, after)
	}
	runtime.KeepAlive(area)
	if n := Resident([]int{1 << 30}); n != 0 {
		t.Errorf("no process uses %d", n)
	}
	if n, ok := Proportional([]int{1 << 30}); n != 0 || !ok {
		t.Errorf("no process uses %d, %v", n, ok)
	}
}

func TestRollupPss(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"00400000-7ff ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:        123 kB\nPss_Anon:   5 kB\n": 123, "Pss: x kB\n": -1, "": -1,
	} {
		got, ok := rollupPss([]byte(text))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}
