package app

import (
	"math"
	"strconv"
	"strings"
)

// MaxWorkers is the largest number of slots an app may have.
const MaxWorkers = 10000

const workersHint = `write a number, "max" (one per CPU), "50%" of the CPUs, or "-1" (all CPUs but one)`

// ParseWorkers returns the number of slots that text asks for on a machine with that many CPUs (at least 1):
// "4", "max" or "auto", "50%" (rounded, at least 1), "-1" (all CPUs but one, at least 1).
func ParseWorkers(text string, cpus int) (int, error) {
	n, err := countWorkers(strings.ToLower(strings.TrimSpace(text)), max(1, cpus))
	switch {
	case err != nil:
		return 0, err
	case n > MaxWorkers:
		return 0, invalid("workers", text, "is more than "+strconv.Itoa(MaxWorkers), workersHint)
	}
	return n, nil
}

func countWorkers(text string, cpus int) (int, error) {
	if text == "max" || text == "auto" {
		return cpus, nil
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		return shareOf(percent, cpus)
	}
	if less, ok := strings.CutPrefix(text, "-"); ok {
		n, err := wholeNumber(less, text)
		return max(1, cpus-n), err
	}
	return wholeNumber(text, text)
}

func shareOf(percent string, cpus int) (int, error) {
	n, err := wholeNumber(percent, percent+"%")
	if err != nil {
		return 0, err
	}
	share := math.Round(float64(cpus) * float64(n) / 100)
	return int(min(max(1, share), MaxWorkers+1)), nil
}

// wholeNumber reads a positive number; whole is the text that an error shows.
func wholeNumber(digits, whole string) (int, error) {
	n, err := strconv.ParseUint(digits, 10, 31)
	switch {
	case err != nil:
		return 0, invalid("workers", whole, "is not a number of workers", workersHint)
	case n == 0:
		return 0, invalid("workers", whole, "an app needs at least one worker", "for one worker per CPU use --workers max")
	}
	return int(n), nil
}
