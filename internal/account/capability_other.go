//go:build !linux

package account

// missingCapability names why workers cannot be of another user here.
func missingCapability() string { return "an exec stage, which there is on Linux alone" }
