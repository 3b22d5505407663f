package main

import (
	"fmt"
	"os"
	"strings"
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
