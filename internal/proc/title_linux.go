package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"
)

// titleStart is where the kernel finds the command line: the strings the process
// was started with. Go's os.Args point into it, so they are given copies before
// anybody takes a part of one.
var titleStart = claimTitleArea()

func claimTitleArea() *byte {
	if len(os.Args) == 0 || len(os.Args[0]) == 0 {
		return nil
	}
	first := unsafe.StringData(os.Args[0])
	for i, arg := range os.Args {
		os.Args[i] = strings.Clone(arg)
	}
	return first
}

// SetTitle sets what ps shows for this process, cut to the room that its first
// command line and environment left, and the name of 15 bytes that top shows.
func SetTitle(title string) error {
	area, arguments, err := titleRoom()
	if err != nil {
		return fmt.Errorf("set process title: %w", err)
	}
	write(area, arguments, title)
	if err := os.WriteFile(system.selfPath("comm"), []byte(title), 0); err != nil {
		return fmt.Errorf("set process title: %w", err)
	}
	return nil
}

// titleRoom is the area of arguments and environment, one after the other, and
// the length of the arguments' part.
func titleRoom() (area []byte, arguments int, err error) {
	if titleStart == nil {
		return nil, 0, errBadStat
	}
	line, err := os.ReadFile(system.selfPath("stat"))
	if err != nil {
		return nil, 0, err
	}
	fields := strings.Fields(string(line[strings.LastIndexByte(string(line), ')')+1:]))
	const argStart = 48 - 3 // proc(5) counts from 1, and two fields are cut off
	if len(fields) < argStart+4 {
		return nil, 0, errBadStat
	}
	var bounds [4]uintptr // arg_start, arg_end, env_start, env_end
	for i := range bounds {
		n, _ := strconv.ParseUint(fields[argStart+i], 10, 64)
		bounds[i] = uintptr(n)
	}
	if bounds[0] != uintptr(unsafe.Pointer(titleStart)) || bounds[1] <= bounds[0] {
		return nil, 0, errBadStat
	}
	end := bounds[1]
	if bounds[2] == bounds[1] && bounds[3] > bounds[2] {
		end = bounds[3]
	}
	return unsafe.Slice(titleStart, end-bounds[0]), int(bounds[1] - bounds[0]), nil
}

// write fills the area. The kernel shows the arguments' part if that ends in a
// NUL; otherwise the title goes on into the environment's part up to a NUL.
func write(area []byte, arguments int, title string) {
	n := copy(area[:len(area)-1], title)
	if n >= arguments {
		area[n] = 0
		return
	}
	clear(area[n:arguments])
}
