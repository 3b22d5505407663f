package logs

import (
	"bytes"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// roleVar makes the test binary play a worker instead of running tests.
const roleVar = "LOGS_TEST_ROLE"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(roleVar)); err == nil {
		writeLines(n)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// writeLines writes n lines of 200 bytes to stdout flat out, each by a write of its own, as most programs do.
func writeLines(n int) {
	line := append(bytes.Repeat([]byte{'x'}, 199), '\n')
	for range n {
		if _, err := os.Stdout.Write(line); err != nil {
			os.Exit(1)
		}
	}
}
