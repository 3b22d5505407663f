package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// proc is where /proc is.
const proc = "/proc"

// hierarchy is one tree of groups, and where this process is in it.
type hierarchy struct {
	v1          bool
	controllers []string // of version 1
	path        string   // of this process's group, as /proc/self/cgroup has it
	dir         string   // where that is mounted; empty: it is not
}

// ownHierarchies are those that this process has a group in.
func ownHierarchies() []hierarchy {
	groups, err := os.ReadFile(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return nil
	}
	mounts, err := os.ReadFile(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return nil
	}
	return hierarchies(string(groups), string(mounts))
}

// hierarchies reads lines as "4:cpu,cpuacct:/path", in which version 2 has
// neither number nor controllers, "0::/path", and those of mountinfo.
func hierarchies(groups, mounts string) []hierarchy {
	var all []hierarchy
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		h := hierarchy{v1: parts[0] != "0", path: parts[2]}
		if h.v1 {
			h.controllers = strings.Split(parts[1], ",")
		}
		h.dir = h.locate(mounts)
		all = append(all, h)
	}
	return all
}

// locate finds where the group is mounted, from lines of mountinfo:
// "36 35 0:30 ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS".
func (h hierarchy) locate(mounts string) string {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(fs) < 3 || !h.isOn(fs[0], strings.Split(fs[2], ",")) {
			continue
		}
		if rel, err := filepath.Rel(unescape(mount[3]), h.path); err == nil && !strings.HasPrefix(rel, "..") {
			return filepath.Join(unescape(mount[4]), rel)
		}
	}
	return ""
}

// isOn tells whether a file system of that kind, with these options, shows h.
func (h hierarchy) isOn(kind string, options []string) bool {
	if !h.v1 {
		return kind == "cgroup2"
	}
	return kind == "cgroup" && slices.Contains(options, h.controllers[0])
}

// unescape undoes the octal escapes for blanks and backslashes in mountinfo.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// readWords are the words of a file, none if it cannot be read.
func readWords(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// write writes to a control file, which exists.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func writable(path string) error { return unix.Access(path, unix.W_OK) }
