package fdpass

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// sealed forbids every change of the content and of the seals themselves.
const sealed = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Memfd makes a memory file that holds data and that nobody can change any more. The name only shows under /proc/PID/fd. The
// caller closes the descriptor, which is close-on-exec.
func Memfd(name string, data []byte) (int, error) {
	fd, err := newMemfd(name)
	if err != nil {
		return -1, fmt.Errorf("make memory file %s: %w", name, err)
	}
	if err := fill(fd, data); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("fill memory file %s: %w", name, err)
	}
	return fd, nil
}

// newMemfd asks for a file that cannot be executed, and does without where the kernel is older than 6.3.
func newMemfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		return unix.MemfdCreate(name, flags)
	}
	return fd, err
}

func fill(fd int, data []byte) error {
	for off := 0; off < len(data); {
		n, err := unix.Pwrite(fd, data[off:], int64(off))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		off += n
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, sealed)
	return err
}

// ReadMemfd returns the content of a memory file made by Memfd, in whichever process. It refuses a file that somebody could still
// change. The descriptor stays open and its offset where it is.
func ReadMemfd(fd int) ([]byte, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("read memory file: %w", err)
	}
	if seals&sealed != sealed {
		return nil, errors.New("read memory file: it is not sealed")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("read memory file: %w", err)
	}
	data := make([]byte, st.Size)
	if err := readFull(fd, data); err != nil {
		return nil, fmt.Errorf("read memory file: %w", err)
	}
	return data, nil
}

func readFull(fd int, data []byte) error {
	for off := 0; off < len(data); {
		n, err := unix.Pread(fd, data[off:], int64(off))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		off += n
	}
	return nil
}
