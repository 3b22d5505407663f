//go:build !linux

package testutil

import "time"

func awaitGone(string, time.Time) []string { return nil }

func killAll(string) {}

// Workers returns nothing where there is no /proc.
func (r *Running) Workers() []int { return nil }
