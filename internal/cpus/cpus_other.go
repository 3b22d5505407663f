//go:build !linux

package cpus

import "runtime"

// Available returns the number of CPUs of the machine.
func Available() int { return runtime.NumCPU() }
