package muster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	titleSize   = 4096
	prSetMM     = 35
	prSetMMMap  = 14
	commSize    = 15
	noExeChange = ^uint32(0)
)

// mmMap is struct prctl_mm_map of the kernel (prctl(2), PR_SET_MM_MAP).
type mmMap struct {
	startCode, endCode, startData, endData, startBrk, brk, startStack uint64
	argStart, argEnd, envStart, envEnd                                uint64
	auxv                                                              uint64
	auxvSize                                                          uint32
	exeFD                                                             uint32
}

// setTitle changes what ps shows, as far as the kernel lets us: the command name and, if it was built for
// checkpoint and restore, the command line. It points the kernel to other memory instead of writing over the
// arguments, because Go strings of the program point there.
func setTitle(title string) {
	_ = os.WriteFile("/proc/self/comm", []byte(strings.TrimSpace(title[:min(len(title), commSize)])), 0)
	_ = setCommandLine(title)
}

func setCommandLine(title string) error {
	m, err := currentMap()
	if err != nil {
		return err
	}
	// Never unmapped: the kernel reads it for whoever asks.
	page, err := syscall.Mmap(-1, 0, titleSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	n := copy(page[:titleSize-1], title)
	m.argStart = uint64(uintptr(unsafe.Pointer(&page[0])))
	m.argEnd = m.argStart + uint64(n) + 1
	_, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, prSetMM, prSetMMMap, uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}

// currentMap reads the addresses that stay as they are from /proc/self/stat.
func currentMap() (mmMap, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return mmMap{}, err
	}
	name := bytes.LastIndexByte(stat, ')') // ends the second field, which may contain anything
	fields := bytes.Fields(stat[name+1:])
	var failed error
	field := func(n int) uint64 { // numbered as in proc_pid_stat(5)
		if n-3 >= len(fields) {
			failed = fmt.Errorf("/proc/self/stat has no field %d", n)
			return 0
		}
		v, err := strconv.ParseUint(string(fields[n-3]), 10, 64)
		failed = errors.Join(failed, err)
		return v
	}
	m := mmMap{
		startCode: field(26), endCode: field(27), startStack: field(28),
		startData: field(45), endData: field(46), startBrk: field(47),
		argStart: field(48), argEnd: field(49), envStart: field(50), envEnd: field(51),
		exeFD: noExeChange,
	}
	m.brk = breakAddress()
	return m, failed
}

// breakAddress returns the end of the C heap, which Go does not use.
func breakAddress() uint64 {
	now, _, _ := syscall.Syscall(syscall.SYS_BRK, 0, 0, 0)
	return uint64(now)
}
