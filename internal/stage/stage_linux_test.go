package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// statusFD is where run puts the status pipe in the stage.
const statusFD = FirstFD

// result is what a stage left behind.
type result struct {
	Reports        []Report
	Stdout, Stderr string
	Code           int
}

// run executes the test binary as the stage, with a document as given.
func run(t *testing.T, document []byte) result {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{Argv0}
	cmd.Env = []string{"STAGE_ONLY=1"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(document), &stdout, &stderr
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return result{decode(t, lines), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func decode(t *testing.T, lines []byte) []Report {
	t.Helper()
	var reports []Report
	for d := json.NewDecoder(bytes.NewReader(lines)); d.More(); {
		var r Report
		if err := d.Decode(&r); err != nil {
			t.Fatalf("reports %q: %v", lines, err)
		}
		reports = append(reports, r)
	}
	return reports
}

func runDoc(t *testing.T, doc Doc) result {
	t.Helper()
	doc.Version, doc.StatusFD = Version, statusFD
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, text)
}

func TestBecomesProgram(t *testing.T) {
	t.Parallel()
	got := runDoc(t, Doc{
		Path: "/bin/sh",
		Argv: []string{"named", "-c", "echo $0 $A ${STAGE_ONLY-clean}; cat; exit 3"},
		Env:  []string{"A=b", "PATH=/usr/bin:/bin"},
	})
	want := result{Reports: []Report{{Op: OpExec, Path: "/bin/sh"}}, Stdout: "named b clean\n", Code: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runDoc(t, Doc{Argv: []string{"/bin/cat"}, Stdin: path}); got.Stdout != "hello" {
		t.Errorf("got %+v", got)
	}
}

func TestFailureIsReported(t *testing.T) {
	t.Parallel()
	got := runDoc(t, Doc{Path: "/nonexistent", Argv: []string{"x"}})
	want := result{Code: ExitFailed, Reports: []Report{
		{Op: OpExec, Path: "/nonexistent"},
		{Op: OpExec, Path: "/nonexistent", Errno: int(unix.ENOENT), Error: "no such file or directory"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A parent that is already gone means that nobody wants the program any more.
func TestWrongParent(t *testing.T) {
	t.Parallel()
	got := runDoc(t, Doc{Argv: []string{"/bin/true"}, DeathSignal: int(unix.SIGKILL), Parent: 1})
	if got.Code != ExitFailed || len(got.Reports) != 1 || got.Reports[0].Op != "find parent" {
		t.Errorf("got %+v", got)
	}
}

func TestBadDocument(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, document, want string }{
		{"none", "", "unexpected end of JSON input"},
		{"cut off", `{"version":1,"path":"/bin/tr`, "unexpected end of JSON input"},
		{"another version", `{"version":2}`, "version 2, this binary speaks 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, []byte(tt.document))
			want := result{Stderr: "muster: read exec stage document: " + tt.want + "\n", Code: ExitFailed}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Before Linux 5.11 the descriptors are listed one by one.
func TestCloseOnExecListed(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 900)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(high)
	if err := closeOnExecListed(high); err != nil {
		t.Fatal(err)
	}
	flag := func(fd int) int {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil {
			t.Fatal(err)
		}
		return flags
	}
	if flag(high) != unix.FD_CLOEXEC || flag(fd) != 0 {
		t.Errorf("flags are %d from there on and %d before", flag(high), flag(fd))
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	given := []string{"A=1", "LISTEN_FDS=9", "LISTEN_PID=9", "LISTEN_FDNAMES=x", "LISTEN_PIDFDID=9", "LISTEN=kept", "A=2"}
	tests := []struct {
		name string
		doc  Doc
		want []string
	}{
		{"none", Doc{}, []string{"A=1", "LISTEN=kept", "A=2"}},
		{"unnamed", Doc{ListenFDs: 1}, []string{"A=1", "LISTEN=kept", "A=2", "LISTEN_FDS=1", "LISTEN_PID=42"}},
		{
			"named", Doc{ListenFDs: 2, ListenNames: []string{"a", "b"}},
			[]string{"A=1", "LISTEN=kept", "A=2", "LISTEN_FDS=2", "LISTEN_PID=42", "LISTEN_FDNAMES=a:b"},
		},
	}
	for _, tt := range tests {
		tt.doc.Env = given
		s := stage{doc: &tt.doc}
		if diff := cmp.Diff(tt.want, s.environment(42)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/prog": 0o755, "plain/prog": 0o644, "folder/prog/x": 0o755} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	bin, plain, folder := filepath.Join(dir, "bin"), filepath.Join(dir, "plain"), filepath.Join(dir, "folder")
	tests := []struct {
		name, program, path, want string
		err                       error
	}{
		{"found", "prog", "/nonexistent:" + bin, filepath.Join(bin, "prog"), nil},
		{"after one not executable", "prog", plain + ":" + bin, filepath.Join(bin, "prog"), nil},
		{"after a folder", "prog", folder + "::" + bin, filepath.Join(bin, "prog"), nil},
		{"not executable", "prog", plain + ":/nonexistent", "", unix.EACCES},
		{"missing", "prog", "/nonexistent:", "", unix.ENOENT},
		{"a path", "./prog", bin, "./prog", nil},
	}
	for _, tt := range tests {
		got, err := lookup(tt.program, []string{"PATH=/x", "PATH=" + tt.path})
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	if got, err := lookup("sh", nil); err != nil || !strings.HasSuffix(got, "/bin/sh") {
		t.Errorf("without PATH: %q, %v", got, err)
	}
	if _, err := lookup("", nil); err == nil {
		t.Error("no program: no error")
	}
}

func TestInterpreter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct{ path, want string }{
		{file("env", "#!/usr/bin/env node\nx"), "/usr/bin/env"},
		{file("blanks", "#! \t/opt/x -y\n"), "/opt/x"},
		{file("no newline", "#!/opt/x"), "/opt/x"},
		{file("no interpreter", "#!\n"), ""},
		{file("text", "hello\n"), ""},
		{file("empty", ""), ""},
	}
	for _, tt := range tests {
		if got, _ := interpreterOf(tt.path); got != tt.want {
			t.Errorf("%s: %q, want %q", filepath.Base(tt.path), got, tt.want)
		}
	}
	if got, err := interpreterOf("/bin/sh"); err != nil || !strings.Contains(got, "/ld") {
		t.Errorf("the shell's loader is %q, %v", got, err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	tests := []struct {
		report Report
		text   string
		errno  error
	}{
		{Report{Op: OpExec, Path: "/bin/x"}, "exec /bin/x", nil},
		{Report{Op: "chdir", Path: "/x", Errno: 2, Error: "no such file or directory"}, "chdir /x: no such file or directory", syscall.ENOENT},
		{Report{Op: "a", Errno: 2, Error: "not there (wanted by b)"}, "a: not there (wanted by b)", syscall.ENOENT},
		{Report{Op: "a", Error: "no program given"}, "a: no program given", nil},
	}
	for _, tt := range tests {
		if got := tt.report.String(); got != tt.text {
			t.Errorf("%q, want %q", got, tt.text)
		}
		if tt.errno != nil && !errors.Is(tt.report.Err(), tt.errno) {
			t.Errorf("%v is not %v", tt.report.Err(), tt.errno)
		}
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	if n, err := Resource("nofile"); n != unix.RLIMIT_NOFILE || err != nil {
		t.Errorf("nofile is %d, %v", n, err)
	}
	if _, err := Resource("nonsense"); err == nil {
		t.Error("nonsense is a limit")
	}
	if got := resourceName(unix.RLIMIT_AS) + " " + resourceName(99); got != "as 99" {
		t.Errorf("names are %s", got)
	}
}

// A limit that binds the program must not keep the stage from becoming it.
func TestLimitsThatWouldBindTheStage(t *testing.T) {
	t.Parallel()
	limit := func(resource int, n uint64) Rlimit { return Rlimit{Resource: resource, Cur: n, Max: n} }
	got := runDoc(t, Doc{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -v; ulimit -n; ulimit -f"},
		Rlimits: []Rlimit{limit(unix.RLIMIT_AS, 64<<20), limit(unix.RLIMIT_NOFILE, 16), limit(unix.RLIMIT_FSIZE, 0), limit(unix.RLIMIT_DATA, 32<<20)},
	})
	want := result{Reports: []Report{{Op: OpExec, Path: "/bin/sh"}}, Stdout: "65536\n16\n0\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is above the hard limit comes as near as it may, and is told.
func TestLimitsThatMayNotBeRaised(t *testing.T) {
	t.Parallel()
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	got := runDoc(t, Doc{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -Sn; ulimit -Hn"},
		Rlimits: []Rlimit{{Resource: unix.RLIMIT_NOFILE, Cur: 100, Max: unix.RLIM_INFINITY}}, // more than fs.nr_open even for root
	})
	if len(got.Reports) != 2 || !got.Reports[0].Warning || !strings.Contains(got.Reports[0].String(), "set limit nofile to unlimited") {
		t.Fatalf("got %+v", got)
	}
	if want := fmt.Sprintf("100\n%d\n", now.Max); got.Stdout != want {
		t.Errorf("limits %q, want %q", got.Stdout, want)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	umask := 0o27
	got := runDoc(t, Doc{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "id -u; id -g; id -G; umask; echo again >/dev/stderr"},
		User: &Credential{UID: 4321, GID: 4322, Groups: []int{7, 9}}, Umask: &umask, NoNewPrivs: true,
	})
	want := result{Reports: []Report{{Op: OpExec, Path: "/bin/sh"}}, Stdout: "4321\n4322\n4322 7 9\n0027\n", Stderr: "again\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
