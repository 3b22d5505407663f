package daemon

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// writerVariable makes the test binary a process that writes a file over and over, until it is killed.
const writerVariable = "DAEMON_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

// writeForEver writes states that are longer and shorter by turns, and says the number of each as soon as it is said to be written.
func writeForEver(path string) {
	for i := 1; ; i++ {
		if err := writeFile(path, stateOf(i)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// stateOf is a state that says in each of its parts which one it is.
func stateOf(i int) dump {
	d := dump{Version: fileVersion}
	for range 1 + i%7*20 {
		var r record
		r.ID, r.Launch.Base, r.Launch.Env = i, fmt.Sprint(i), []string{fmt.Sprint("N=", i)}
		d.Apps = append(d.Apps, r)
	}
	return d
}

// TestAKillInTheMiddleOfAWrite leaves the old file or the new one, as a whole, and never one older than what was said to be written.
func TestAKillInTheMiddleOfAWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(testutil.TempDir(t), dumpFile)
	rng := testutil.Rand(t)
	for range 60 {
		said := killWriter(t, path, rng)
		var got dump
		if err := readFile(path, &got, func() int { return got.Version }); err != nil {
			if said == 0 && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			t.Fatal(err)
		}
		i := got.Apps[0].ID
		if want := stateOf(i); len(got.Apps) != len(want.Apps) || i < said {
			t.Fatalf("state %d of %d apps, not %d; state %d was written", i, len(got.Apps), len(want.Apps), said)
		}
		for _, r := range got.Apps {
			if r.ID != i || r.Launch.Base != fmt.Sprint(i) {
				t.Fatalf("state %d holds %+v", i, r)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	(&Daemon{state: filepath.Dir(path)}).sweep()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// killWriter kills a writer somewhere, and returns the last state that it said was written.
func killWriter(t *testing.T, path string, rng *rand.Rand) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), writerVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range rng.IntN(4) {
		lines.Scan()
	}
	timer := time.AfterFunc(time.Duration(rng.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	said, last := 0, lines.Text()
	for lines.Scan() {
		last = lines.Text()
	}
	if last != "" {
		if _, err := fmt.Sscan(last, &said); err != nil {
			t.Fatalf("the writer says %q", last)
		}
	}
	_ = cmd.Wait() // it was killed
	return said
}

func TestDamagedFileIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	whole := "{\n  \"version\": 1,\n  \"apps\": [\n    {\"id\": 1}\n  ]\n}\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", ":1: unexpected end of JSON input"},
		{"cut", whole[:strings.Index(whole, "]")], ":5: unexpected end of JSON input"},
		{"garbage", strings.Replace(whole, "[", "\x00[", 1), ":3: invalid character '\\x00'"},
		{"another type", strings.Replace(whole, `"id": 1`, `"id": "x"`, 1), ":4: json: cannot unmarshal string"},
		{"two files in one", whole + whole, ":7: invalid character '{' after top-level value"},
		{"of the future", strings.Replace(whole, `"version": 1`, `"version": 9`, 1), ": it has version 9, this muster reads version 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(testutil.TempDir(t), dumpFile)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var got dump
			err := readFile(path, &got, func() int { return got.Version })
			if err == nil || !strings.HasPrefix(err.Error(), "read "+path+test.want) {
				t.Errorf("got %v", err)
			}
			if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, []byte(test.text)) {
				t.Errorf("the file is %q, %v", text, err)
			}
		})
	}
}
