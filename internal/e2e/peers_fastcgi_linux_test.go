package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

const fpmConf = `[global]
error_log = /dev/stderr
[www]
listen = LISTEN
pm = static
pm.max_children = 1
`

// fpm is php-fpm, which speaks FastCGI, with an index.php that answers like the others.
func fpm() peer {
	return peer{
		name: "php-fpm", program: "php-fpm",
		files:    map[string]string{"fpm.conf": fpmConf, "index.php": "<?php echo 'pid: ', getmypid(), \"\\n\";\n"},
		variable: "FPM_SOCKETS=LISTEN={fd}",
		args:     []string{"-F", "-R", "-y", "fpm.conf"},
	}
}

// TestPHPLosesNothingButWhatItHolds is TestPeersLoseNothingButWhatTheyHold over FastCGI. A child of php-fpm looks whether it shall go
// after it has accepted, and closes that connection unread.
func TestPHPLosesNothingButWhatItHolds(t *testing.T) {
	t.Parallel()
	r, addr, dir := fpm().start(t, 2)
	r.WaitLine("serving workers=2")
	script := filepath.Join(dir, "index.php")
	if err := askFPM(t.Context(), addr, script); err != nil {
		t.Fatal(err)
	}

	seen := askingFPM(t, addr, script)
	mark := r.Mark()
	for _, m := range r.WaitLines(0, 2, `worker started.* pid=([0-9]+)`) {
		if err := syscall.Kill(pidIn(t, m), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	r.WaitLines(mark, 2, "worker exited.*SIGKILL")
	r.WaitLines(mark, 2, "worker ready")
	if ok, failed := seen(); ok == 0 || failed > 2*clients {
		t.Errorf("killed: %d ok, %d failed", ok, failed)
	}

	seen = askingFPM(t, addr, script)
	mark = r.Mark()
	r.Signal(syscall.SIGHUP)
	r.WaitLines(mark, 1, "reloaded")
	r.WaitLines(mark, 2, "worker exited.*reason=superseded")
	if ok, failed := seen(); ok == 0 || failed > 2 { // each of the old ones may close a connection that it had just accepted
		t.Errorf("reloaded: %d ok, %d failed", ok, failed)
	}
	if code := r.Stop().ExitCode(); code != 0 || strings.Contains(r.Output(), "worker killed") {
		t.Errorf("exit code %d, want 0, and no worker killed", code)
	}
}

// askingFPM asks until the returned function is called, which tells how often that went well and how often not.
func askingFPM(t *testing.T, addr, script string) (seen func() (ok, failed int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ok, failed atomic.Int64
	var clientsDone sync.WaitGroup
	for range clients {
		clientsDone.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				err := askFPM(ctx, addr, script)
				switch {
				case err == nil:
					ok.Add(1)
				case ctx.Err() == nil:
					t.Logf("not answered: %v", err)
					failed.Add(1)
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { cancel(); clientsDone.Wait() })
	t.Cleanup(stop)
	return func() (int64, int64) {
		stop()
		return ok.Load(), failed.Load()
	}
}

// Record types and the role of FastCGI 1.
const (
	fcgiBegin     = 1
	fcgiEnd       = 3
	fcgiParams    = 4
	fcgiStdin     = 5
	fcgiStdout    = 6
	fcgiResponder = 1
)

// fcgiRecord is the head of a record.
type fcgiRecord struct {
	Version, Kind uint8
	Request, Size uint16
	Padding, _    uint8
}

// askFPM makes one request, and wants a whole answer that names a process.
func askFPM(ctx context.Context, addr, script string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		return err
	}
	var params bytes.Buffer
	for _, pair := range [][2]string{{"SCRIPT_FILENAME", script}, {"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/"}} {
		params.Write([]byte{byte(len(pair[0])), byte(len(pair[1]))})
		params.WriteString(pair[0] + pair[1])
	}
	var request bytes.Buffer
	putRecord(&request, fcgiBegin, []byte{0, fcgiResponder, 0, 0, 0, 0, 0, 0})
	putRecord(&request, fcgiParams, params.Bytes())
	putRecord(&request, fcgiParams, nil)
	putRecord(&request, fcgiStdin, nil)
	if _, err := conn.Write(request.Bytes()); err != nil {
		return err
	}
	answer, err := readFCGI(conn)
	if err == nil && !strings.Contains(answer, "pid: ") {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}

func putRecord(w *bytes.Buffer, kind uint8, body []byte) {
	_ = binary.Write(w, binary.BigEndian, fcgiRecord{Version: 1, Kind: kind, Request: 1, Size: uint16(len(body))})
	w.Write(body)
}

// readFCGI returns what the script wrote, when it has ended.
func readFCGI(r io.Reader) (string, error) {
	var out bytes.Buffer
	for {
		var record fcgiRecord
		if err := binary.Read(r, binary.BigEndian, &record); err != nil {
			return "", err
		}
		body := make([]byte, int(record.Size)+int(record.Padding))
		if _, err := io.ReadFull(r, body); err != nil {
			return "", errors.Join(io.ErrUnexpectedEOF, err)
		}
		switch record.Kind {
		case fcgiStdout:
			out.Write(body[:record.Size])
		case fcgiEnd:
			return out.String(), nil
		}
	}
}
