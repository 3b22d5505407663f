package nodeipc

import (
	"bytes"
	"encoding/json"
)

// Event is what Receive returns: one of Online, Query, Listening, Closed, ExitedAfterDisconnect, Accepted, HandleAck, HandleLost,
// Connections and Message.
type Event interface{ event() }

// Online says that the worker's runtime is up and knows it is a cluster worker. It is its first record, before any code of the program
// has run.
type Online struct{}

// Listening says that the worker accepts connections. Its Port is the real one where the query asked for port 0.
type Listening struct {
	Query
	Listener string // the key under which the query was answered on this Conn; empty if none fits
}

// Closed says that the worker stopped using a listener; connections accepted from it may live on.
type Closed struct{ Key string }

// ExitedAfterDisconnect asks whether the worker may leave by itself. It waits until AnswerExit.
type ExitedAfterDisconnect struct{ Seq json.Number }

// Accepted is the worker's answer to NewConn. With OK false it has closed its copy and the connection belongs to another worker.
type Accepted struct {
	Seq int64
	OK  bool
}

// HandleAck says that the worker holds a handle. One of the fields tells which: Server for SendServer, Seq for NewConn, else Key for
// AnswerHandle. NewConn's carries its Key too.
type HandleAck struct {
	Server bool   `json:"server,omitempty"`
	Key    string `json:"key,omitempty"`
	Seq    int64  `json:"seq,omitempty"`
}

// HandleLost says that a handle did not reach the worker, or that nobody knows whether it did: it was refused again and again, or the
// channel ended first. The fields are those of HandleAck.
type HandleLost HandleAck

// Connections says that the worker has accepted so many connections. It is muster's own record, {"cmd":"NODE_MUSTER","connections":N}: a Node
// program cannot write to a notify socket.
type Connections struct{ Count int64 }

// Message is what the program sent with process.send.
type Message struct {
	Raw  json.RawMessage
	FD   int    // the descriptor that came with it, for the receiver of the event to close; -1: none
	Type string // what the worker says FD is, as "net.Server"; empty without one
}

// Text returns the message if it is a string.
func (m Message) Text() (string, bool) {
	return text(m.Raw)
}

// Act returns the member "act" of a message that is an object, as "suicide" in {"act":"suicide"}, else "".
func (m Message) Act() string {
	if !bytes.Contains(m.Raw, []byte(`"act"`)) {
		return ""
	}
	act, _ := text(members(m.Raw)["act"])
	return act
}

func (Online) event()                {}
func (Query) event()                 {}
func (Listening) event()             {}
func (Closed) event()                {}
func (ExitedAfterDisconnect) event() {}
func (Accepted) event()              {}
func (HandleAck) event()             {}
func (HandleLost) event()            {}
func (Connections) event()           {}
func (Message) event()               {}
