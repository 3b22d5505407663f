//go:build !linux

package main

import "os"

func cpuSeconds(int) float64 { return none }

func peakMB(int) float64 { return none }

func maySteer() bool { return false }

func steers(int) bool { return false }

func killMarked(string) int { return 0 }

func markedProcesses(string) []*os.Process { return nil }
