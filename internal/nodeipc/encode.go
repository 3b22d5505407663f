package nodeipc

import (
	"encoding/json"
	"fmt"
	"syscall"
)

// The frames that carry nothing but their name.
var (
	frameACK  = []byte(`{"cmd":"NODE_HANDLE_ACK"}` + "\n")
	frameNACK = []byte(`{"cmd":"NODE_HANDLE_NACK"}` + "\n")
)

// The types of handle that the master sends.
const (
	typeServer = "net.Server"
	typeStream = "net.Native"
	typeDgram  = "dgram.Native"
)

// What a stream handle is, for Deno; Node ignores it.
const (
	socketTypeServer = 1
	socketTypeConn   = 0
)

type envelope struct {
	Cmd        string `json:"cmd"`
	Type       string `json:"type"`
	Msg        any    `json:"msg"`
	SocketType *int   `json:"socketType,omitempty"`
	NativeKind string `json:"nativeKind,omitempty"`
}

type answer struct {
	Cmd   string          `json:"cmd"`
	Errno int             `json:"errno"`
	Key   string          `json:"key"`
	Ack   json.Number     `json:"ack"`
	Data  json.RawMessage `json:"data"`
	Seq   int64           `json:"seq"`
}

type act struct {
	Cmd string `json:"cmd"`
	Act string `json:"act"`
	Key string `json:"key,omitempty"`
	Seq int64  `json:"seq"`
}

type exitAnswer struct {
	Cmd string      `json:"cmd"`
	Ack json.Number `json:"ack"`
	Seq int64       `json:"seq"`
}

type socketAnswer struct {
	Cmd   string `json:"cmd"`
	Key   string `json:"key"`
	Count *int   `json:"count,omitempty"`
}

// line is v as a record. It never is an empty line, and the encoder escapes the newlines within strings.
func line(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return append(b, '\n'), nil
}

// userLine is a user's message as a record. One that looks internal is refused: the worker would take it for the channel's own.
func userLine(msg any) ([]byte, error) {
	b, err := line(msg)
	if err != nil {
		return nil, err
	}
	if command(b) != "" {
		return nil, ErrMessage
	}
	return b, nil
}

// wrap puts msg into the envelope of a native handle.
func wrap(msg any, s socket, socketType int) envelope {
	e := envelope{Cmd: "NODE_HANDLE", Type: typeDgram, Msg: msg}
	if !s.dgram {
		e.Type, e.SocketType, e.NativeKind = typeStream, &socketType, s.kind()
	}
	return e
}

// listenerAnswer is the reply to q that goes along with a socket. A TLS server whose data comes back as null would crash, so what it sent
// stands in for data that is missing.
func listenerAnswer(q Query, key string, data json.RawMessage, seq int64) answer {
	if isNull(data) {
		data = q.Data
	}
	return answer{Cmd: "NODE_CLUSTER", Key: key, Ack: q.Seq, Data: data, Seq: seq}
}

// errorAnswer is the reply to q that makes its listen fail. Workers understand negative numbers alone, and take 0 for success.
func errorAnswer(q Query, key string, errno syscall.Errno, seq int64) answer {
	if errno == 0 {
		errno = syscall.EINVAL
	}
	return answer{Cmd: "NODE_CLUSTER", Errno: -int(errno), Key: key, Ack: q.Seq, Seq: seq}
}

func isNull(data json.RawMessage) bool {
	return len(data) == 0 || string(data) == "null"
}
