package nodeipc

import (
	"encoding/json"
	"strconv"
	"strings"
)

// AddressType is the sort of address a worker wants to listen on.
type AddressType int

// The sorts of address.
const (
	Unknown AddressType = iota
	TCP4                // also "any address": without a host Node says 4 and means [::], dual-stack
	TCP6
	Path // a stream unix socket
	UDP4
	UDP6
	FD // a stream socket of the master's, by number; a datagram socket by number is UDP4 or UDP6 with HasFD
)

// String returns the wire's spelling.
func (t AddressType) String() string {
	return [...]string{"unknown", "4", "6", "-1", "udp4", "udp6", "null"}[t]
}

// UDP tells whether the worker wants a datagram socket.
func (t AddressType) UDP() bool { return t == UDP4 || t == UDP6 }

// The bits of Query.Flags, as libuv has them.
const (
	FlagIPv6Only  = 1
	FlagReusePort = 2
	FlagReuseAddr = 4 // UDP
)

// Query is a worker's wish to listen. It must be answered once, by AnswerHandle or AnswerError; until then its listen is pending.
type Query struct {
	Seq         json.Number     `json:"seq"`            // the worker's number for the question
	Index       int             `json:"index"`          // tells apart several listeners of this worker on the same tuple
	Data        json.RawMessage `json:"data,omitempty"` // null, or an object with ticketKeys from a TLS server
	Address     string          `json:"address,omitempty"`
	HasAddress  bool            `json:"has_address,omitempty"` // false: any address
	Port        int             `json:"port,omitempty"`        // -1 for a path
	HasPort     bool            `json:"has_port,omitempty"`    // a UDP bind may come without
	Type        AddressType     `json:"type"`
	FD          int             `json:"fd,omitempty"` // the number in listen({fd}); it means a descriptor of the master's
	HasFD       bool            `json:"has_fd,omitempty"`
	Flags       int             `json:"flags,omitempty"`
	Backlog     int             `json:"backlog,omitempty"` // 0: the runtime's default
	ReadableAll bool            `json:"readable_all,omitempty"`
	WritableAll bool            `json:"writable_all,omitempty"`
}

// Tuple is equal for two queries that mean the same listener, in this worker or in another. With port 0 it includes the index, since
// every listen(0) of a worker gets a port of its own, which it shares with the same index of the others.
func (q Query) Tuple() string {
	if q.wantsAnyPort() {
		return q.Key()
	}
	return q.tuple()
}

// Key names the listener uniquely among those that the worker has open.
func (q Query) Key() string {
	return q.tuple() + ":" + strconv.Itoa(q.Index)
}

func (q Query) tuple() string {
	return strings.Join([]string{
		orWord(q.HasAddress, q.Address, "null"),
		orWord(q.HasPort, strconv.Itoa(q.Port), "null"),
		q.Type.String(),
		orWord(q.HasFD, strconv.Itoa(q.FD), "undefined"),
	}, ":")
}

func (q Query) wantsAnyPort() bool {
	return !q.HasFD && q.Type != Path && q.Port == 0
}

// answers tells whether l, from a listening record, is about the listener that q asked for.
func (q Query) answers(l Query) bool {
	same := q.Type == l.Type && q.Index == l.Index && q.Address == l.Address && q.HasFD == l.HasFD && q.FD == l.FD
	return same && (q.Port == l.Port || q.wantsAnyPort())
}

func orWord(ok bool, s, word string) string {
	if ok {
		return s
	}
	return word
}
