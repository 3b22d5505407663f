package examples

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// The record types and the role of FastCGI that a GET needs.
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6

	fcgiResponder = 1
)

// fcgiHeader begins every record.
type fcgiHeader struct {
	Version, Type byte
	ID, Length    uint16
	Padding, _    byte
}

// askFastCGI makes one GET request for a script and returns what it writes, header fields first.
func askFastCGI(ctx context.Context, addr, script string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if at, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(at)
	}
	params := fcgiPair("SCRIPT_FILENAME", script) + fcgiPair("REQUEST_METHOD", "GET")
	request := fcgiRecord(fcgiBegin, string([]byte{0, fcgiResponder, 0, 0, 0, 0, 0, 0})) +
		fcgiRecord(fcgiParams, params) + fcgiRecord(fcgiParams, "") + fcgiRecord(fcgiStdin, "")
	if _, err := io.WriteString(conn, request); err != nil {
		return "", err
	}
	return readFastCGI(conn)
}

func readFastCGI(r io.Reader) (string, error) {
	var out bytes.Buffer
	for {
		var h fcgiHeader
		if err := binary.Read(r, binary.BigEndian, &h); err != nil {
			return "", fmt.Errorf("read record after %q: %w", out.String(), err)
		}
		content := make([]byte, int(h.Length)+int(h.Padding))
		if _, err := io.ReadFull(r, content); err != nil {
			return "", err
		}
		switch h.Type {
		case fcgiStdout:
			out.Write(content[:h.Length])
		case fcgiEnd:
			return out.String(), nil
		}
	}
}

func fcgiRecord(kind byte, content string) string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, fcgiHeader{Version: 1, Type: kind, ID: 1, Length: uint16(len(content))}) // to memory
	return b.String() + content
}

// fcgiPair is a parameter; name and value are shorter than 128 bytes or get the long form of their length.
func fcgiPair(name, value string) string { return fcgiLength(name) + fcgiLength(value) + name + value }

func fcgiLength(s string) string {
	if len(s) < 128 {
		return string([]byte{byte(len(s))})
	}
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s))|1<<31))
}
