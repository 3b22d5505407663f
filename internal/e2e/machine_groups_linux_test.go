package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// groups are control groups for a machine, one below the test's own in each hierarchy.
type groups struct {
	t    *testing.T
	dirs []string // each as "CONTROLLERS=FOLDER", without controllers for version 2, with "name:NAME" for a named hierarchy
}

func newGroups(t *testing.T, name string) *groups {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	mounted, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	g := &groups{t: t}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if dir := groupFolder(string(mounted), fields[1], fields[2]); dir != "" {
			g.make(fields[1], filepath.Join(dir, name))
		}
	}
	if len(g.dirs) == 0 {
		t.Fatalf("no control group can be made below %s", own)
	}
	return g
}

// groupFolder finds a group of a hierarchy among the mounts; nothing where it is not mounted.
func groupFolder(mounted, controllers, path string) string {
	for line := range strings.Lines(mounted) {
		before, after, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if controllers == "" && kind[0] != "cgroup2" || controllers != "" && (kind[0] != "cgroup" || !hasAll(kind[2], controllers)) {
			continue
		}
		if rel, err := filepath.Rel(place[3], path); err == nil && !strings.HasPrefix(rel, "..") {
			return filepath.Join(place[4], rel)
		}
	}
	return ""
}

func hasAll(options, controllers string) bool {
	have := strings.Split(options, ",")
	return !slices.ContainsFunc(strings.Split(controllers, ","), func(c string) bool { return !slices.Contains(have, c) })
}

func (g *groups) make(controllers, dir string) {
	g.t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		g.t.Fatal(err)
	}
	g.dirs = append(g.dirs, strings.Replace(controllers, "name=", "name:", 1)+"="+dir)
	if !hasAll(controllers, "cpuset") {
		return
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // empty at first: nobody may enter
		text, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), text, 0)
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// hasV1 tells whether a controller is one of version 1.
func (g *groups) hasV1(controller string) bool {
	return slices.ContainsFunc(g.dirs, func(group string) bool {
		controllers, _, _ := strings.Cut(group, "=")
		return hasAll(controllers, controller)
	})
}

// env tells the role "boot" where they are.
func (g *groups) env() string { return "E2E_GROUPS=" + strings.Join(g.dirs, " ") }

// remove removes the groups, in which no process is left.
func (g *groups) remove() {
	for _, group := range g.dirs {
		_, dir, _ := strings.Cut(group, "=")
		var all []string
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, path := range slices.Backward(all) {
			if err := os.Remove(path); err != nil {
				g.t.Errorf("a control group is left: %v", err)
			}
		}
	}
}
