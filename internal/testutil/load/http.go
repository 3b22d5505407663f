package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// bodyKept is how much of a body is searched for the process id.
const bodyKept = 4096

// response is a complete HTTP/1 response.
type response struct {
	status int
	pid    int  // after "pid: " in the body, 0 if none
	closes bool // the server closes the connection after it
}

// header is what the framing of a response depends on.
type header struct {
	status  int
	length  int64 // -1: not given
	chunked bool
	closes  bool
}

// readResponse reads one response. A body that is framed by the end of the connection is complete at EOF.
func readResponse(br *bufio.Reader) (response, error) {
	h, err := readHeader(br)
	if err != nil {
		return response{}, err
	}
	body := &prefix{}
	if err := copyBody(body, br, &h); err != nil {
		return response{}, err
	}
	return response{status: h.status, pid: pidOf(body.b), closes: h.closes}, nil
}

func copyBody(w io.Writer, br *bufio.Reader, h *header) error {
	switch {
	case h.status == 204 || h.status == 304:
		return nil
	case h.chunked:
		return copyChunks(w, br)
	case h.length >= 0:
		_, err := io.CopyN(w, br, h.length)
		return err
	}
	h.closes = true
	_, err := io.Copy(w, br)
	return err
}

func readHeader(br *bufio.Reader) (header, error) {
	h := header{length: -1}
	line, err := readLine(br)
	if err != nil {
		return h, err
	}
	if h.status, err = parseStatus(line); err != nil {
		return h, err
	}
	h.closes = strings.HasPrefix(line, "HTTP/1.0")
	for {
		line, err = readLine(br)
		if err != nil || line == "" {
			return h, err
		}
		if err = h.field(line); err != nil {
			return h, err
		}
	}
}

func (h *header) field(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("parse response: header field %q has no colon", line)
	}
	value = strings.TrimSpace(value)
	var err error
	switch strings.ToLower(name) {
	case "content-length":
		h.length, err = strconv.ParseInt(value, 10, 64)
	case "transfer-encoding":
		h.chunked = strings.EqualFold(value, "chunked")
	case "connection":
		h.connection(strings.ToLower(value))
	}
	return err
}

func (h *header) connection(value string) {
	switch {
	case strings.Contains(value, "close"):
		h.closes = true
	case strings.Contains(value, "keep-alive"):
		h.closes = false
	}
}

func parseStatus(line string) (int, error) {
	if !strings.HasPrefix(line, "HTTP/1.") || len(line) < 12 {
		return 0, fmt.Errorf("parse response: not a status line: %q", line)
	}
	return strconv.Atoi(line[9:12])
}

// readLine reads a line without its end. EOF within a line is ErrUnexpectedEOF.
func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func copyChunks(w io.Writer, br *bufio.Reader) error {
	for {
		line, err := readLine(br)
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		if err != nil {
			return fmt.Errorf("parse response: chunk size: %w", err)
		}
		if n == 0 {
			return skipTrailer(br)
		}
		if _, err := io.CopyN(w, br, n); err != nil {
			return err
		}
		if _, err := readLine(br); err != nil {
			return err
		}
	}
}

func skipTrailer(br *bufio.Reader) error {
	for {
		if line, err := readLine(br); err != nil || line == "" {
			return err
		}
	}
}

// prefix keeps the first bodyKept bytes written to it.
type prefix struct{ b []byte }

func (p *prefix) Write(b []byte) (int, error) {
	p.b = append(p.b, b[:min(len(b), bodyKept-len(p.b))]...)
	return len(b), nil
}

// pidOf finds the number after "pid: " where that is a word of its own (and not the end of "ppid: ").
func pidOf(body []byte) int {
	mark := []byte("pid: ")
	for i := 0; ; {
		n := bytes.Index(body[i:], mark)
		if n < 0 {
			return 0
		}
		start := i + n
		i = start + len(mark)
		if start == 0 || body[start-1] != 'p' {
			return leadingInt(body[i:])
		}
	}
}

func leadingInt(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}
