package proc

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// OOMKills is how many processes the kernel has killed for memory in this
// process's cgroup; false when that cannot be known. It counts since the cgroup
// was made: compare two readings.
func OOMKills() (uint64, bool) {
	groups, err := os.ReadFile(system.selfPath("cgroup"))
	if err != nil {
		return 0, false
	}
	mounts, err := os.ReadFile(system.selfPath("mountinfo"))
	if err != nil {
		return 0, false
	}
	for _, file := range oomFiles(string(groups), string(mounts)) {
		data, err := os.ReadFile(file)
		if n, ok := oomCount(string(data)); err == nil && ok {
			return n, true
		}
	}
	return 0, false
}

func (fs procFS) selfPath(name string) string { return filepath.Join(string(fs), "self", name) }

// oomFiles are the files that may hold the counter, cgroup v2's first: on hybrid
// systems v2 is mounted without the memory controller.
func oomFiles(groups, mounts string) []string {
	var files []string
	if group, ok := cgroupPath(groups, ""); ok {
		if dir, ok := cgroupDir(mounts, "cgroup2", "", group); ok {
			files = append(files, filepath.Join(dir, "memory.events"))
		}
	}
	if group, ok := cgroupPath(groups, "memory"); ok {
		if dir, ok := cgroupDir(mounts, "cgroup", "memory", group); ok {
			files = append(files, filepath.Join(dir, "memory.oom_control"))
		}
	}
	return files
}

// cgroupPath finds the group in lines like "4:cpu,memory:/path"; v2's line has
// no controller, "0::/path".
func cgroupPath(groups, controller string) (string, bool) {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 && slices.Contains(strings.Split(parts[1], ","), controller) {
			return parts[2], true
		}
	}
	return "", false
}

// cgroupDir finds where a group of a hierarchy is mounted, from lines of
// mountinfo: "36 35 0:30 ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS".
func cgroupDir(mounts, kind, controller, group string) (string, bool) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(fs) < 3 || fs[0] != kind {
			continue
		}
		if controller != "" && !slices.Contains(strings.Split(fs[2], ","), controller) {
			continue
		}
		if rel, err := filepath.Rel(mount[3], group); err == nil && !strings.HasPrefix(rel, "..") {
			return filepath.Join(mount[4], rel), true
		}
	}
	return "", false
}

// oomCount finds the line "oom_kill N".
func oomCount(text string) (uint64, bool) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
