//go:build !linux

package muster

// setTitle does nothing: only Linux lets a program change its title without writing over its arguments.
func setTitle(string) {}
