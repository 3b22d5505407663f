//go:build !linux

package cpus

import "runtime"

// Available returns the number of CPUs of the machine.
func Available() int { return runtime.NumCPU() }

// Allowed is not known on this system.
func Allowed() []int { return nil }
