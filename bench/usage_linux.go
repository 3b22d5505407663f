package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is what Linux counts CPU time in for programs, on every architecture.
const ticksPerSecond = 100

// cpuSeconds is what a process has used so far.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return none
	}
	_, fields, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	var user, system float64
	list := strings.Fields(fields)
	if len(list) < 13 {
		return none
	}
	if _, err := fmt.Sscan(list[11]+" "+list[12], &user, &system); err != nil {
		return none
	}
	return (user + system) / ticksPerSecond
}

// peakMB is the most memory that a process has had in RAM.
func peakMB(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return none
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return none
	}
	return kb / 1024
}

// maySteer tells whether this process has what eBPF steering needs.
func maySteer() bool {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), "CapEff:")
	var caps uint64
	_, err = fmt.Sscanf(strings.TrimSpace(rest), "%x", &caps)
	return err == nil && caps&(1<<unix.CAP_BPF|1<<unix.CAP_SYS_ADMIN) != 0
}

// steers tells whether a process holds maps of eBPF.
func steers(pid int) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if name, _ := os.Readlink(link); strings.Contains(name, "bpf-map") {
			return true
		}
	}
	return false
}
