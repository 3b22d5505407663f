package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/fdpass"
	"github.com/musterd/muster/internal/proc"
)

// An upgrade replaces the program that this process runs, in place: same pid, same children, same sockets.
//
//	old image                                          new image
//	  │ start "muster" with PreflightVariable            │
//	  │◄──── highest snapshot version it reads ──────────┤ (a process of its own)
//	  │ freeze: readers stop, exits wait                 │
//	  │ snapshot ──► memfd                               │
//	  ├───── execve, RestoreVariable=<memfd> ───────────►│ adopt, go on
//	  │◄──── execve failed: revive in this process ──────┤
const (
	// RestoreVariable holds the number of the descriptor of a snapshot: the process goes on with it.
	RestoreVariable = "MUSTER_RESTORE"
	// PreflightVariable asks a binary to print the version of the snapshots that it reads, and to exit.
	PreflightVariable = "MUSTER_PREFLIGHT"
)

// Preflight answers a master that is about to become this binary.
func Preflight() string { return "muster-snapshot " + strconv.Itoa(SnapshotVersion) }

var errPreflight = errors.New("the new binary does not know how to go on")

// binary is the file of the program as it was when the process began: after it is replaced, the kernel names it otherwise.
var binary, errBinary = os.Executable()

// upgrade tries the new binary beside the loop, and then becomes it.
func (m *Master) upgrade() {
	if m.upgrading {
		m.log.Warn("an upgrade is under way")
		return
	}
	if err := m.refuseUpgrade(); err != nil {
		m.log.Error("upgrade refused", keyReason, err, keyHint, apiserver.HintOf(err))
		return
	}
	m.upgrading, m.upgradeErr = true, nil
	m.log.Info("upgrading", keyBinary, binary)
	m.wg.Go(func() { // ends with the process that it starts
		err := preflight(binary)
		m.post(func() {
			if err != nil {
				m.upgradeFailed(err)
				return
			}
			m.become = true
		})
	})
}

func (m *Master) upgradeFailed(err error) {
	m.upgrading, m.upgradeErr = false, err
	if op := m.running(api.OperationUpgrade); op != nil {
		m.fail(op, "upgrade: "+err.Error(), "the old binary goes on")
	}
	m.log.Error("upgrade failed: the old binary goes on", keyError, err)
}

// preflight starts the binary to ask whether it can read our snapshot.
func preflight(path string) error {
	if errBinary != nil {
		return fmt.Errorf("find the binary: %w", errBinary)
	}
	answer, err := proc.Preflight(context.Background(), path, PreflightVariable)
	if err != nil {
		return err
	}
	return checkAnswer(path, answer)
}

func checkAnswer(path, answer string) error {
	text, ok := strings.CutPrefix(strings.TrimSpace(answer), "muster-snapshot ")
	version, err := strconv.Atoi(text)
	if !ok || err != nil || version < SnapshotVersion {
		return fmt.Errorf("try %s: %w: it says %q", path, errPreflight, strings.TrimSpace(answer))
	}
	return nil
}

// transform becomes the new binary. If it returns, the returned master goes on in this process as if nothing had been.
func (m *Master) transform() *Master {
	s, release := m.freeze()
	s.Upgrades++
	err := m.execve(s)
	release()
	s.Upgrades--
	next, _ := revive(s, &estate{ // cannot fail: nothing is adopted
		run: m.run, spawner: m.spawner, reaper: m.reaper, guard: m.guard, listeners: m.listeners, workers: m.workers, output: m.output, kept: m.kept,
	})
	close(m.done)
	next.later(func() { next.upgradeFailed(err) })
	return next
}

func (m *Master) execve(s *snapshot) error {
	data, err := marshalSnapshot(s)
	if err != nil {
		return err
	}
	fd, err := fdpass.Memfd("muster snapshot", data)
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	defer closeFD(fd)
	m.flush()
	env := setenv(os.Environ(), RestoreVariable, strconv.Itoa(fd))
	files := slices.DeleteFunc(append(s.fds(), fd), func(fd int) bool { return fd < 0 })
	return m.spawner.Exec(binary, os.Args, env, files)
}
