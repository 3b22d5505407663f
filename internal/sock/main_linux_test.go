package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// performHere plays the roles that only Linux has.
func performHere(name, arg string) {
	switch name {
	case "bare": // another role without privileges
		runtime.LockOSThread() // they are a thread's
		if err := dropCapabilities(); err != nil {
			fmt.Println(err)
			return
		}
		perform(arg)
	case "steer":
		playSteer()
	}
}

func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

func playSteer() {
	slots, err := OpenSlots(local(), 2, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = NewSteering(slots, SteerOptions{})
	fmt.Println("permission", errors.Is(err, fs.ErrPermission), err)
}

// number reads a line that is one.
func (p *process) number() int {
	p.t.Helper()
	line := p.line()
	n, err := strconv.Atoi(line)
	if err != nil {
		p.t.Fatalf("output %q, want a number", line)
	}
	return n
}
