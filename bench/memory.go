package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// pss is the proportional set size of a process in MB: its private memory and its share of what it shares. It is 0 where the system
// does not tell.
func pss(pid int) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			var kb float64
			if _, err := fmt.Sscanf(text, "%f kB", &kb); err == nil {
				return kb / 1024
			}
		}
	}
	return 0
}
