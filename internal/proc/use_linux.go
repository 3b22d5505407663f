package proc

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the clock of /proc: USER_HZ is 100 on every architecture.
const tick = time.Second / 100

// Sessions is what the processes of every session take, by the number of the session, which is that of the process that leads it. It costs a
// short read for every process of the machine. Nil where there is no /proc.
func Sessions() map[int]Use {
	var room [1 << 10]byte
	var all map[int]Use
	page := int64(os.Getpagesize())
	for _, pid := range system.pids() {
		data, err := readShort(system.path(pid, "stat"), room[:])
		if err != nil {
			continue
		}
		if all == nil {
			all = make(map[int]Use)
		}
		count(all, pid, string(data), page)
	}
	return all
}

// count adds a process to its session.
func count(all map[int]Use, pid int, line string, page int64) {
	const user, childSystem, resident = 11, 14, 21 // fields after the name
	s, err := parseStat(line)
	if err != nil {
		return
	}
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= resident {
		return
	}
	use := all[s.session]
	for _, field := range fields[user : childSystem+1] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		use.CPU += time.Duration(ticks) * tick
	}
	pages, _ := strconv.ParseInt(fields[resident], 10, 64)
	use.Memory += pages * page
	use.Processes++
	if pid == s.session {
		use.Born = s.start
	}
	all[s.session] = use
}
