package cpus

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// group is a control group of this process: the line of /proc/self/cgroup, cgroups(7).
type group struct {
	v1   bool
	path string // as the kernel names it from this process's control group namespace
}

// mount is a line of /proc/self/mountinfo, proc_pid_mountinfo(5), that shows a hierarchy of control groups.
type mount struct {
	v1   bool
	root string // the group that stands at dir
	dir  string // its directory below fsys, without a leading slash
}

// quotaOf returns the least CPU quota, in CPUs, on the way from this process's groups up to the roots that it can see; +Inf without one.
func quotaOf(fsys fs.FS) float64 {
	least := math.Inf(1)
	mounts := readMounts(fsys)
	for _, g := range readGroups(fsys) {
		if dir, top, ok := locate(fsys, g, mounts); ok {
			least = min(least, walkUp(fsys, g, dir, top))
		}
	}
	return least
}

// walkUp returns the least quota from dir up to top.
func walkUp(fsys fs.FS, g group, dir, top string) float64 {
	least := math.Inf(1)
	for {
		least = min(least, g.quota(fsys, dir))
		if dir == top {
			return least
		}
		dir = path.Dir(dir)
	}
}

// locate finds the directory of g and that of the topmost group in sight. A container often sees a path that lies outside of what is
// mounted for it; then what is mounted is the container's own group.
func locate(fsys fs.FS, g group, mounts []mount) (dir, top string, ok bool) {
	for _, m := range mounts {
		if m.v1 != g.v1 {
			continue
		}
		if below, inside := m.below(g.path); inside && isDir(fsys, below) {
			return below, m.dir, true
		}
		if !ok {
			dir, top, ok = m.dir, m.dir, true
		}
	}
	return dir, top, ok
}

func isDir(fsys fs.FS, dir string) bool {
	info, err := fs.Stat(fsys, dir)
	return err == nil && info.IsDir()
}

// below returns the directory of a group, if it lies inside the mount.
func (m mount) below(groupPath string) (string, bool) {
	clean := path.Clean(groupPath)
	if m.root == "/" {
		return path.Join(m.dir, clean), !strings.HasPrefix(groupPath, "/..")
	}
	rest, ok := strings.CutPrefix(clean, m.root)
	return path.Join(m.dir, rest), ok && (rest == "" || rest[0] == '/')
}

// quota returns the quota of one group, or +Inf.
func (g group) quota(fsys fs.FS, dir string) float64 {
	if !g.v1 {
		quota, period, _ := strings.Cut(readLine(fsys, path.Join(dir, "cpu.max")), " ")
		return ratio(quota, period)
	}
	return ratio(readLine(fsys, path.Join(dir, "cpu.cfs_quota_us")), readLine(fsys, path.Join(dir, "cpu.cfs_period_us")))
}

// ratio divides two texts in microseconds. "max" (version 2), -1 (version 1) and anything unreadable mean no quota.
func ratio(quota, period string) float64 {
	q, err := strconv.ParseInt(quota, 10, 64)
	p, err2 := strconv.ParseInt(period, 10, 64)
	if err != nil || err2 != nil || q <= 0 || p <= 0 {
		return math.Inf(1)
	}
	return float64(q) / float64(p)
}

func readLine(fsys fs.FS, name string) string {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// readGroups returns the version 2 group and the version 1 group that has the cpu controller, as far as there are any.
func readGroups(fsys fs.FS) []group {
	var groups []group
	for line := range strings.Lines(readLine(fsys, "proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		v2 := fields[0] == "0" && fields[1] == ""
		if v2 || hasWord(fields[1], "cpu") {
			groups = append(groups, group{v1: !v2, path: fields[2]})
		}
	}
	return groups
}

func readMounts(fsys fs.FS) []mount {
	var mounts []mount
	for line := range strings.Lines(readLine(fsys, "proc/self/mountinfo")) {
		if m, ok := parseMount(line); ok {
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// parseMount reads "36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 cgroup2 rw".
func parseMount(line string) (mount, bool) {
	before, after, found := strings.Cut(line, " - ")
	place, kind := strings.Fields(before), strings.Fields(after)
	if !found || len(place) < 5 || len(kind) < 3 {
		return mount{}, false
	}
	v1 := kind[0] == "cgroup" && hasWord(kind[2], "cpu")
	dir := strings.Trim(unescape(place[4]), "/")
	return mount{v1: v1, root: unescape(place[3]), dir: dir}, (v1 || kind[0] == "cgroup2") && fs.ValidPath(dir)
}

// unescape undoes the octal escapes for blanks and backslashes in mountinfo.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

func hasWord(list, word string) bool {
	return strings.Contains(","+list+",", ","+word+",")
}
