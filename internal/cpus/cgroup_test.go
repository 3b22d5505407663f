package cpus

import (
	"testing"
	"testing/fstest"
)

const (
	mountV2     = "30 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
	mountV1     = "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct\n31 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	mountHybrid = mountV1 + "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

func TestLimited(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		cgroup string
		mounts string
		files  map[string]string
		cpus   int
		want   int
	}{
		{name: "no control groups", cpus: 4, want: 4},
		{name: "no CPU at all counts as one", cpus: 0, want: 1},
		{"v2, max", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "max 100000\n"}, 4, 4},
		{"v2, two of four", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "200000 100000\n"}, 4, 2},
		{"v2, rounded up", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "150000 100000\n"}, 4, 2},
		{"v2, a fraction", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "5000 100000\n"}, 4, 1},
		{"v2, more than there is", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "900000 100000\n"}, 4, 4},
		{"v2, other period", "0::/app\n", mountV2, map[string]string{"app/cpu.max": "30000 10000\n"}, 4, 3},
		{"v2, the group above is narrower", "0::/a/b/c\n", mountV2, map[string]string{"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "300000 100000"}, 4, 1},
		{"v2, quota at the root of a namespace", "0::/\n", mountV2, map[string]string{"cpu.max": "200000 100000"}, 8, 2},
		{"v2, the sibling's quota is not ours", "0::/a\n", mountV2, map[string]string{"a/cpu.max": "max 100000", "b/cpu.max": "100000 100000"}, 4, 4},
		{"v2, no cpu controller", "0::/a\n", mountV2, map[string]string{"a/cgroup.procs": ""}, 4, 4},
		{"v2, garbage", "0::/a\n", mountV2, map[string]string{"a/cpu.max": "much"}, 4, 4},
		{
			"v2, container that sees the host's path", "0::/docker/abc\n", "30 22 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			map[string]string{"cpu.max": "100000 100000"}, 4, 1,
		},
		{
			"v2, group below the mounted one", "0::/docker/abc/init\n", "30 22 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			map[string]string{"cpu.max": "300000 100000", "init/cpu.max": "200000 100000"}, 4, 2,
		},
		{
			"v2, path that only begins alike", "0::/docker/abcdef\n", "30 22 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			map[string]string{"cpu.max": "100000 100000", "def/cpu.max": "200000 100000"}, 4, 1,
		},
		{"v2, path outside of the namespace", "0::/../../other\n", mountV2, map[string]string{"cpu.max": "200000 100000", "other/cpu.max": "100000 100000"}, 4, 2},
		{"v2, path that does not exist", "0::/gone\n", mountV2, map[string]string{"cpu.max": "200000 100000"}, 4, 2},
		{"v1, none", "3:cpu,cpuacct:/app\n", mountV1, v1("cpu,cpuacct/app", "-1", "100000"), 4, 4},
		{"v1, two of four", "3:cpu,cpuacct:/app\n", mountV1, v1("cpu,cpuacct/app", "200000", "100000"), 4, 2},
		{"v1, the group above is narrower", "3:cpu,cpuacct:/a/b\n", mountV1, v1("cpu,cpuacct/a", "50000", "100000", "cpu,cpuacct/a/b/cgroup.procs"), 4, 1},
		{"v1, container that sees the host's path", "3:cpu,cpuacct:/docker/abc\n", "31 30 0:28 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n", v1("cpu", "100000", "50000"), 4, 2},
		{"v1, the cpuset hierarchy has no quota", "4:cpuset:/a\n", mountV1, v1("cpuset/a", "100000", "100000"), 4, 4},
		{"hybrid, quota on v1", "3:cpu,cpuacct:/app\n0::/app\n", mountHybrid, v1("cpu,cpuacct/app", "100000", "100000"), 4, 1},
		{"hybrid, quota on v2", "3:cpu,cpuacct:/app\n0::/app\n", mountHybrid, map[string]string{"unified/app/cpu.max": "300000 100000"}, 4, 3},
		{
			"mounted in a directory with a blank", "0::/a\n", "30 22 0:27 / /sys/fs/cgroup/my\\040groups rw - cgroup2 cgroup2 rw\n",
			map[string]string{"my groups/a/cpu.max": "100000 100000"}, 4, 1,
		},
		{"garbage", "x\n0:\n", "1 2 3\n - cgroup2\n", nil, 4, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{
				"proc/self/cgroup":    {Data: []byte(test.cgroup)},
				"proc/self/mountinfo": {Data: []byte("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + test.mounts)},
			}
			for name, text := range test.files {
				fsys["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := limited(fsys, test.cpus); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// v1 returns the two files of a quota, and others that are empty.
func v1(dir, quota, period string, others ...string) map[string]string {
	files := map[string]string{dir + "/cpu.cfs_quota_us": quota + "\n", dir + "/cpu.cfs_period_us": period + "\n"}
	for _, name := range others {
		files[name] = ""
	}
	return files
}

func TestNoFiles(t *testing.T) {
	t.Parallel()
	if got := limited(fstest.MapFS{}, 3); got != 3 {
		t.Errorf("got %d", got)
	}
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	if got := Available(); got < 1 {
		t.Errorf("got %d", got)
	}
}
