package inspector

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterd/muster/internal/testutil"
)

func TestNodeSaysWhereItStands(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, call string }{
		{"loops", "for (;;);"},
		{"sleeps", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"},
	}
	for _, major := range testutil.NodeVersions() {
		for _, tt := range tests {
			t.Run(fmt.Sprint("node ", major, " ", tt.name), func(t *testing.T) {
				t.Parallel()
				script := "function hang() { console.error('hangs'); " + tt.call + " }\nsetTimeout(hang, 1)"
				cmd := exec.CommandContext(t.Context(), testutil.Node(t, major), "--inspect-port=0", "--inspect-publish-uid=stderr", "-e", script)
				stderr, err := cmd.StderrPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() {
					_ = cmd.Process.Kill()
					_ = cmd.Wait()
				}()
				stack, err := Stack(t.Context(), addressOf(t, cmd, stderr))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(stack, func(line string) bool { return strings.HasPrefix(line, "at hang (") }) { // or in what it calls
					t.Errorf("stack %q", stack)
				}
			})
		}
	}
}

// addressOf opens the inspector of a process that says that it hangs.
func addressOf(t *testing.T, cmd *exec.Cmd, stderr io.Reader) string {
	t.Helper()
	var said []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == "hangs" {
			if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
		}
		if url, found := Address(said); found {
			return url
		}
	}
	t.Fatalf("no address in %q", said)
	return ""
}

// fake is an inspector that answers the handshake, takes two frames, and then sends these bytes.
func fake(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the connection
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		_, _ = io.Copy(io.Discard, in)
	}()
	return "ws://" + l.Addr().String() + "/id"
}

const (
	switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	script    = `{"method":"Debugger.scriptParsed","params":{"scriptId":"7","url":"file:///app.js"}}`
	paused    = `{"method":"Debugger.paused","params":{"callFrames":[{"functionName":"f","location":{"scriptId":"7","lineNumber":6,"columnNumber":2}},` +
		`{"functionName":"","location":{"scriptId":"8","lineNumber":0,"columnNumber":0}}]}}`
)

// long is a frame of a length in two bytes.
func long(head byte, text string) string {
	return string([]byte{head, 126, byte(len(text) >> 8), byte(len(text))}) + text
}

func TestFrames(t *testing.T) {
	t.Parallel()
	stack, bare := []string{"at f (/app.js:7:3)", "at <anonymous>:1:1"}, []string{"at f (<anonymous>:7:3)", "at <anonymous>:1:1"}
	tests := []struct {
		name, answer string
		want         []string
		fails        string
	}{
		{"in one frame", switching + "\x81\x02{}" + string([]byte{0x81, byte(len(script))}) + script + long(0x81, paused), stack, ""},
		{"in pieces, with a ping between", switching + long(0x01, paused[:130]) + "\x89\x00" + long(0x80, paused[130:]), bare, ""},
		{"in a frame of a length in eight bytes", switching + "\x81\x7f\x00\x00\x00\x00\x00\x00" + string([]byte{byte(len(paused) >> 8), byte(len(paused) & 0xff)}) + paused, bare, ""},
		{"closed", switching + "\x88\x00", nil, "closed"},
		{"cut off", switching + "\x81\x05{", nil, ""},
		{"masked", switching + "\x81\x85", nil, "masked"},
		{"too long", switching + "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", nil, "longer than"},
		{"refused", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", nil, "400 Bad Request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.name == "cut off" { // it would wait for the rest
				ctx, cancel = context.WithTimeout(ctx, cutOff)
				defer cancel()
			}
			got, err := Stack(ctx, fake(t, tt.answer))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("stack (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.want == nil) || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v", err)
			}
		})
	}
}
