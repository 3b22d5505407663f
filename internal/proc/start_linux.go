package proc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/cgroup"
	"github.com/musterd/muster/internal/stage"
)

// selfExe is the running binary, even after its file was replaced.
const selfExe = "/proc/self/exe"

// stageEnv tunes the Go runtime of the exec stage, which lives for a
// millisecond and allocates little. The program never sees it.
var stageEnv = []string{"GOMAXPROCS=1", "GOGC=off"}

// Start starts a process and returns when it runs the program, or the exec
// stage's *[StartError]. If ctx ends before that, the process is killed. The
// owner of the result must call its Wait and Close.
func (s *Spawner) Start(ctx context.Context, spec Spec) (*Process, error) {
	l, err := newLaunch(spec)
	if err != nil {
		clearGroup(spec.Group)
		return nil, &StartError{Op: "prepare", Path: program(spec.Doc), Err: err}
	}
	defer l.close()
	p, err := s.fork(l.exe, []string{stage.Argv0}, stageEnv, l.files, l.token)
	if err != nil {
		clearGroup(spec.Group)
		return nil, &StartError{Op: "fork", Path: l.exe, Err: err}
	}
	l.closeFar()
	if spec.Guard != nil {
		p.guard = spec.Guard
		spec.Guard.add(p)
	}
	p.leave, p.group = spec.Leave, spec.Group
	if spec.Born != nil {
		spec.Born(p.Handle())
	}
	p.Warnings, err = l.handshake(ctx, p)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// clearGroup clears the control group of a process that there is not.
func clearGroup(g *cgroup.Group) {
	if g != nil {
		_ = g.Clear()
	}
}

func program(doc stage.Doc) string {
	if doc.Path == "" && len(doc.Argv) > 0 {
		return doc.Argv[0]
	}
	return doc.Path
}

// launch is a start under way: the pipes between us and the stage.
type launch struct {
	exe     string
	program string
	token   string
	doc     []byte
	files   []uintptr // the process's descriptors 0, 1, …
	far     []int     // those of them we opened
	in      *os.File  // the document goes here
	status  *os.File  // the stage's reports come from here
}

func newLaunch(spec Spec) (*launch, error) {
	l := &launch{exe: spec.Exe, program: program(spec.Doc), token: rand.Text()}
	if l.exe == "" {
		l.exe = selfExe
	}
	if err := l.open(spec); err != nil {
		l.close()
		return nil, err
	}
	doc, err := json.Marshal(l.complete(spec))
	if err != nil {
		l.close()
		return nil, err
	}
	l.doc = doc
	return l, nil
}

// open makes both pipes and lays out the process's descriptors: the document,
// stdout, stderr, the caller's files, the status pipe.
func (l *launch) open(spec Spec) (err error) {
	var document, status int
	if l.in, document, err = l.pipe(1); err != nil {
		return err
	}
	if l.status, status, err = l.pipe(0); err != nil {
		return err
	}
	fds := append([]int{document, spec.Stdout, spec.Stderr}, spec.Files...)
	for _, fd := range append(fds, status) {
		if fd, err = l.orNull(fd); err != nil {
			return err
		}
		l.files = append(l.files, uintptr(fd))
	}
	return nil
}

// pipe makes a pipe of which we keep the end near, 0 to read and 1 to write,
// under the poller; the far end stays blocking, as the stage expects it.
func (l *launch) pipe(near int) (file *os.File, far int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, os.NewSyscallError("pipe2", err)
	}
	far = ends[1-near]
	l.far = append(l.far, far)
	if err := unix.SetNonblock(ends[near], true); err != nil {
		unix.Close(ends[near])
		return nil, -1, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(ends[near]), "exec stage pipe"), far, nil
}

func (l *launch) orNull(fd int) (int, error) {
	if fd >= 0 {
		return fd, nil
	}
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	l.far = append(l.far, fd)
	return fd, nil
}

// complete is the document with what only the launch knows.
func (l *launch) complete(spec Spec) stage.Doc {
	doc := spec.Doc
	doc.Version = stage.Version
	doc.StatusFD = len(l.files) - 1
	doc.Parent = os.Getpid()
	doc.Env = append(slices.DeleteFunc(slices.Clone(doc.Env), isToken), TokenVariable+"="+l.token)
	doc.KeepFDs = nil
	if spec.Group != nil {
		doc.Groups = spec.Group.Entrances()
	}
	for i := doc.ListenFDs; i < len(spec.Files); i++ {
		doc.KeepFDs = append(doc.KeepFDs, stage.FirstFD+i)
	}
	return doc
}

func isToken(kv string) bool { return strings.HasPrefix(kv, TokenVariable+"=") }

// closeFar closes our copies of the process's ends, so that its end is the end.
func (l *launch) closeFar() {
	for _, fd := range l.far {
		unix.Close(fd)
	}
	l.far = nil
}

func (l *launch) close() {
	l.closeFar()
	for _, file := range []*os.File{l.in, l.status} {
		if file != nil {
			file.Close()
		}
	}
}

// handshake sends the document and reads the reports to their end. On an error
// p is gone.
func (l *launch) handshake(ctx context.Context, p *Process) ([]stage.Report, error) {
	defer cancelOn(ctx, l.in)()
	defer cancelOn(ctx, l.status)()
	// If the stage has died the write fails; the missing report says more.
	_, _ = l.in.Write(l.doc)
	_ = l.in.Close()
	lines, err := io.ReadAll(l.status)
	if err != nil {
		p.abort()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &StartError{Op: "start", Path: l.program, Err: err}
	}
	return l.verdict(lines, p)
}

// verdict is what the last report means.
func (l *launch) verdict(lines []byte, p *Process) ([]stage.Report, error) {
	warnings, last := reports(lines)
	if last.Op == stage.OpExec && !last.Failed() {
		return warnings, nil
	}
	exit := p.abort()
	if !last.Failed() {
		why := exit.String()
		if exit.Counts.Kills > 0 {
			why += " (out of memory)"
		}
		return nil, &StartError{Op: "run exec stage of", Path: l.program, Err: fmt.Errorf("it ended early: %s", why)}
	}
	return nil, &StartError{Op: last.Op, Path: last.Path, Err: last.Err()}
}

// reports separates the warnings from the last other line.
func reports(lines []byte) (warnings []stage.Report, last stage.Report) {
	for line := range bytes.Lines(lines) {
		var r stage.Report
		switch err := json.Unmarshal(line, &r); {
		case err != nil: // cut off by the stage's death
			last = stage.Report{}
		case r.Warning:
			warnings = append(warnings, r)
		default:
			last = r
		}
	}
	return warnings, last
}

// abort ends a process whose start has failed.
func (p *Process) abort() Exit {
	_ = p.SignalGroup(unix.SIGKILL)
	defer p.Close()
	return p.Wait()
}
