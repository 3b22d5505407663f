//go:build !linux

package proc

// DropImage does nothing on this system.
func DropImage() {}
