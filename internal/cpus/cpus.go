// Package cpus tells how many CPUs this process may really use: those it may run on, less what a control group's quota withholds.
package cpus

import (
	"io/fs"
	"math"
)

// limited returns how many of the CPUs the quotas under fsys, which is a machine's root directory, leave: at least 1.
// A quota of 1.5 CPUs counts as 2, since a process may run on that many at a time.
func limited(fsys fs.FS, cpus int) int {
	if quota := quotaOf(fsys); quota < float64(cpus) {
		cpus = int(math.Ceil(quota))
	}
	return max(1, cpus)
}
