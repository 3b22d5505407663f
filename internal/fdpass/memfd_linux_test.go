package fdpass

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/musterd/muster/internal/testutil"
)

// Not parallel: it counts the descriptors of the process.
func TestMemfdHoldsItsContent(t *testing.T) {
	testutil.CheckLeaks(t)
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 1<<13).Draw(t, "data")
		fd, err := Memfd("test", data)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		for range 2 { // reading does not move the offset
			if got, err := ReadMemfd(fd); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("read %d of %d bytes, %v", len(got), len(data), err)
			}
		}
	})
}

func TestMemfdIsSealed(t *testing.T) {
	t.Parallel()
	fd, err := Memfd("test", []byte("content"))
	check(t, err)
	defer func() { check(t, unix.Close(fd)) }()
	if _, err := unix.Pwrite(fd, []byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v", err)
	}
	for _, size := range []int64{0, 100} {
		if err := unix.Ftruncate(fd, size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate to %d: %v", size, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("seal: %v", err)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	check(t, err)
	if flags&unix.FD_CLOEXEC == 0 {
		t.Error("not close-on-exec")
	}
}

func TestReadMemfdRefusesWhatCanChange(t *testing.T) {
	t.Parallel()
	open, err := newMemfd("open")
	check(t, err)
	defer func() { check(t, unix.Close(open)) }()
	if data, err := ReadMemfd(open); err == nil {
		t.Errorf("read %q from an unsealed file", data)
	}
	if _, err := ReadMemfd(pipes(t, 1)[0]); !errors.Is(err, unix.EINVAL) {
		t.Errorf("pipe: %v", err)
	}
	if _, err := ReadMemfd(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("not open: %v", err)
	}
}

func TestMemfdRefusesALongName(t *testing.T) {
	t.Parallel()
	if _, err := Memfd(string(bytes.Repeat([]byte("x"), 250)), nil); !errors.Is(err, unix.EINVAL) {
		t.Errorf("error %v, want EINVAL", err)
	}
}
