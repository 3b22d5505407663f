package proc

import (
	"bytes"
	"os"
	"strings"
)

// KillByVariable kills every process that has the variable with that value in the environment that it was started with, and waits for their
// ends for a moment. A value that ends with a slash stands for all that begin with it. This process is not one of them.
func KillByVariable(name, value string) {
	entry := []byte(name + "=" + value)
	if !strings.HasSuffix(value, "/") {
		entry = append(entry, 0)
	}
	var pidfds []int
	for _, pid := range system.pids() {
		has := func(pid int) bool {
			env, err := os.ReadFile(system.path(pid, "environ"))
			return err == nil && (bytes.HasPrefix(env, entry) || bytes.Contains(env, append([]byte{0}, entry...)))
		}
		if isSelf(pid) {
			continue
		}
		if fd := killSure(pid, has); fd >= 0 {
			pidfds = append(pidfds, fd)
		}
	}
	awaitEnds(pidfds)
}
