//go:build !linux

package notify

// PIDFDID returns 0: only Linux has pidfds.
func PIDFDID(int) (uint64, error) { return 0, nil }
