package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// OwnKills is how many processes the kernel has killed because memory was short
// in this process's own group; false when that cannot be known. It counts since
// the group was made: compare two readings.
func OwnKills() (uint64, bool) {
	for _, file := range killFiles(ownHierarchies()) {
		if n, ok := readCount(file, "oom_kill"); ok {
			return n, true
		}
	}
	return 0, false
}

// AllKills is the same for the whole machine.
func AllKills() (uint64, bool) { return readCount(filepath.Join(proc, "vmstat"), "oom_kill") }

// killFiles are the files that may hold the counter, version 2's first.
func killFiles(all []hierarchy) []string {
	var v2, v1 []string
	for _, h := range all {
		switch {
		case h.dir == "":
		case !h.v1:
			v2 = append(v2, filepath.Join(h.dir, "memory.events"))
		case slices.Contains(h.controllers, "memory"):
			v1 = append(v1, filepath.Join(h.dir, "memory.oom_control"))
		}
	}
	return append(v2, v1...)
}

func readCount(file, key string) (uint64, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	return countIn(string(data), key)
}

// countIn finds the line "KEY N".
func countIn(text, key string) (uint64, bool) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
