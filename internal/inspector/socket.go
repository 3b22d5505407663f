package inspector

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxMessage bounds a message of the process, in bytes: the frames of a stack come with the values in their scopes.
const maxMessage = 16 << 20

var errClosed = errors.New("the inspector was closed")

// socket is the client's side of a WebSocket (RFC 6455), as far as an inspector needs it.
type socket struct {
	conn net.Conn // owned
	in   *bufio.Reader
	stop func() bool // ends what closes conn with the context
}

// dial opens a WebSocket that lives as long as ctx.
func dial(ctx context.Context, address string) (*socket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, in: bufio.NewReader(conn), stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if err := s.shakeHands(u); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) shakeHands(u *url.URL) error {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	_, err := fmt.Fprintf(s.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		u.RequestURI(), u.Host, base64.StdEncoding.EncodeToString(key))
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

func (s *socket) close() {
	s.stop()
	_ = s.conn.Close()
}

// The first byte of a frame: whether it is the last of its message, and what it holds.
const (
	final      = 0x80
	opcode     = 0x0f
	opText     = 1
	opClose    = 8
	firstOther = 8    // opcodes from here on are no part of a message
	masked     = 0x80 // in the second byte
)

// write sends a short text, masked, as a client has to.
func (s *socket) write(text []byte) error {
	if len(text) > 125 {
		return fmt.Errorf("text of %d bytes does not fit in a short frame", len(text))
	}
	frame := make([]byte, 6, 6+len(text))
	frame[0], frame[1] = final|opText, masked|byte(len(text))
	_, _ = rand.Read(frame[2:6])
	for i, b := range text {
		frame = append(frame, b^frame[2+i%4])
	}
	_, err := s.conn.Write(frame)
	return err
}

// read returns the next message.
func (s *socket) read() ([]byte, error) {
	var message []byte
	for {
		head, payload, err := s.frame(maxMessage - len(message))
		switch {
		case err != nil:
			return nil, err
		case head&opcode == opClose:
			return nil, errClosed
		case head&opcode >= firstOther:
			continue
		}
		message = append(message, payload...)
		if head&final != 0 {
			return message, nil
		}
	}
}

// frame returns the first byte of the next frame, and what it holds.
func (s *socket) frame(most int) (head byte, payload []byte, err error) {
	var two [2]byte
	if _, err := io.ReadFull(s.in, two[:]); err != nil {
		return 0, nil, err
	}
	length, err := s.length(two[1])
	switch {
	case err != nil:
		return 0, nil, err
	case length > uint64(most):
		return 0, nil, fmt.Errorf("message longer than %d bytes", maxMessage)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(s.in, payload)
	return two[0], payload, err
}

// length is that of a frame by its second byte, and more if that says so.
func (s *socket) length(second byte) (uint64, error) {
	if second&masked != 0 {
		return 0, errors.New("frame of a server is masked")
	}
	extra := map[byte]int{126: 2, 127: 8}[second]
	if extra == 0 {
		return uint64(second), nil
	}
	var b [8]byte
	_, err := io.ReadFull(s.in, b[8-extra:])
	return binary.BigEndian.Uint64(b[:]), err
}
