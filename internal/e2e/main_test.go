package e2e

import (
	"fmt"
	"os"
	"testing"
)

// roleVariable makes the test binary one of the roles instead of running tests.
const roleVariable = "E2E_ROLE"

// roles are the processes of tests that the test binary can be. Files add theirs in init.
var roles = map[string]func(){}

// TestMain lets the test binary play a role. A role that returns is a process that exits with 0.
func TestMain(m *testing.M) {
	name, ok := os.LookupEnv(roleVariable)
	if !ok {
		os.Exit(m.Run())
	}
	role := roles[name]
	if role == nil {
		fmt.Fprintf(os.Stderr, "no role is called %q\n", name)
		os.Exit(64)
	}
	role()
}
