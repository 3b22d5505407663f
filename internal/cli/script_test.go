package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/musterd/muster/internal/cli"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be muster: for the stories, and for what these start.
func TestMain(m *testing.M) {
	stage.Main()
	proc.GuardMain()
	testscript.Main(m, map[string]func(){"muster": func() { os.Exit(proc.Main(cli.Main)) }})
}

// TestStories runs the stories of the command line. Beside testscript's own commands they have
//
//	exits CODE PROGRAM [ARGUMENT...]   runs it and compares its exit code
func TestStories(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("../../testdata/script/cli_*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               stories,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// setUp gives each story a place of its own for what runs, and keeps the race detector from waiting a second at the end of every process.
func setUp(env *testscript.Env) error {
	env.Setenv("MUSTER_HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Defer(func() { endDaemon(env) })
	return nil
}

// endDaemon ends what a story that failed has left running.
func endDaemon(env *testscript.Env) {
	if _, err := os.Stat(env.Getenv("MUSTER_HOME")); err != nil {
		return
	}
	for _, dir := range filepath.SplitList(env.Getenv("PATH")) {
		cmd := exec.Command(filepath.Join(dir, "muster"), "daemon", "stop")
		if cmd.Env = env.Vars; cmd.Run() == nil {
			return
		}
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
