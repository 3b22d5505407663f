package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// killMarked kills every other process whose environment has this entry, and what they start meanwhile, and tells how many there were.
func killMarked(entry string) (killed int) {
	for range 10 {
		marked := markedProcesses(entry)
		if len(marked) == 0 {
			break
		}
		killed += len(marked)
		for _, p := range marked {
			_ = p.Kill()
		}
	}
	return killed
}

// markedProcesses are the other processes whose environment has this entry. Each is held, so that its number is nobody else's.
func markedProcesses(entry string) (marked []*os.Process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		env, err := os.ReadFile(dir + "/environ") // that of a process that has ended is empty
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), entry) {
			marked = append(marked, p)
		} else {
			_ = p.Release()
		}
	}
	return marked
}
