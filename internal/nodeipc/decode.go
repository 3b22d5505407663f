package nodeipc

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// maxWrapped bounds how often a handle's envelope is wrapped in another. Node wraps once more when it sends again.
const maxWrapped = 8

// The records that are not events but the channel's own bookkeeping.
type (
	ackRecord    struct{ held bool } // NODE_HANDLE_ACK, or NODE_HANDLE_NACK
	handleRecord struct {            // NODE_HANDLE: one descriptor belongs to it
		kind string
		msg  json.RawMessage // nil: nothing the master knows
	}
	socketCountRecord  struct{ key string }
	socketClosedRecord struct{ key string }
	ignoredRecord      struct{} // what newer runtimes may add
)

// decode reads one record: an Event, or one of the records above. What it returns does not alias record.
func decode(record []byte) (any, error) {
	record = bytes.TrimPrefix(record, []byte{0x02}) // Bun's mark of an internal record
	if !json.Valid(record) {
		return nil, violation("record is not JSON", record)
	}
	if cmd := command(record); cmd != "" {
		return decodeInternal(cmd, record)
	}
	return Message{Raw: bytes.Clone(bytes.TrimSpace(record)), FD: -1}, nil
}

// command returns the cmd of an internal record: a string longer than "NODE_" that begins with it. Everything else is a user's message.
func command(record []byte) string {
	if !bytes.Contains(record, []byte("NODE_")) && !bytes.Contains(record, []byte(`\u`)) {
		return ""
	}
	cmd, _ := text(members(record)["cmd"])
	if len(cmd) > len("NODE_") && strings.HasPrefix(cmd, "NODE_") {
		return cmd
	}
	return ""
}

func decodeInternal(cmd string, record []byte) (any, error) {
	m := members(record)
	key, _ := text(m["key"])
	switch cmd {
	case "NODE_CLUSTER":
		return decodeCluster(m, record)
	case "NODE_HANDLE":
		return decodeHandle(m), nil
	case "NODE_HANDLE_ACK":
		return ackRecord{held: true}, nil
	case "NODE_HANDLE_NACK":
		return ackRecord{}, nil
	case "NODE_SOCKET_GET_COUNT":
		return socketCountRecord{key}, nil
	case "NODE_SOCKET_NOTIFY_CLOSE":
		return socketClosedRecord{key}, nil
	case "NODE_MUSTER":
		return decodeOwn(m), nil
	}
	return ignoredRecord{}, nil
}

// decodeOwn reads what muster's own script in a Node program says.
func decodeOwn(m map[string]json.RawMessage) any {
	n, err := strconv.ParseInt(string(m["connections"]), 10, 64)
	if err != nil {
		return ignoredRecord{}
	}
	return Connections{Count: n}
}

// decodeHandle unwraps a handle that was sent again, which has an envelope within the envelope and yet one descriptor.
func decodeHandle(m map[string]json.RawMessage) handleRecord {
	for range maxWrapped {
		kind, _ := text(m["type"])
		msg := m["msg"]
		switch command(msg) {
		case "":
			return handleRecord{kind: kind, msg: msg}
		case "NODE_HANDLE":
			m = members(msg)
		default:
			return handleRecord{kind: kind}
		}
	}
	return handleRecord{}
}

func decodeCluster(m map[string]json.RawMessage, record []byte) (any, error) {
	act, isAct := text(m["act"])
	if !isAct {
		return decodeReply(m), nil
	}
	switch act {
	case "online":
		return Online{}, nil
	case "queryServer":
		return decodeQuery(m, record)
	case "listening":
		return Listening{Query: decodeAddress(m)}, nil
	case "close":
		return decodeClose(m), nil
	case "exitedAfterDisconnect":
		seq, err := sequence(m, record)
		return ExitedAfterDisconnect{Seq: seq}, err
	}
	return ignoredRecord{}, nil
}

func decodeClose(m map[string]json.RawMessage) any {
	if key, ok := text(m["key"]); ok {
		return Closed{Key: key}
	}
	return ignoredRecord{}
}

// decodeReply reads the one reply that a worker gives: to newconn.
func decodeReply(m map[string]json.RawMessage) any {
	seq, err := strconv.ParseInt(string(m["ack"]), 10, 64)
	accepted, known := m["accepted"]
	if err != nil || !known {
		return ignoredRecord{}
	}
	return Accepted{Seq: seq, OK: truth(accepted)}
}

// decodeQuery ignores the query for a path without a path: Node 18 sends it for a server that came as a handle, and crashes on any reply.
func decodeQuery(m map[string]json.RawMessage, record []byte) (any, error) {
	q := decodeAddress(m)
	if q.Type == Path && !q.HasAddress {
		return ignoredRecord{}, nil
	}
	seq, err := sequence(m, record)
	if err != nil {
		return nil, err
	}
	q.Seq = seq
	return q, nil
}

// decodeAddress reads the members that queryServer and listening share. They come absent, null, as false or as strings, so nothing is
// required here.
func decodeAddress(m map[string]json.RawMessage) Query {
	q := Query{Data: m["data"], ReadableAll: truth(m["readableAll"]), WritableAll: truth(m["writableAll"])}
	q.Address, q.HasAddress = text(m["address"])
	q.Port, q.HasPort = number(m["port"])
	q.Index, _ = number(m["index"])
	q.Flags, _ = number(m["flags"])
	q.Backlog, _ = number(m["backlog"])
	if fd, ok := number(m["fd"]); ok && fd >= 0 {
		q.FD, q.HasFD = fd, true
	}
	q.Type = decodeType(m["addressType"], q.HasFD)
	return q
}

func decodeType(raw json.RawMessage, hasFD bool) AddressType {
	word := strings.Trim(string(raw), `"`)
	for _, t := range []AddressType{TCP4, TCP6, Path, UDP4, UDP6} {
		if word == t.String() {
			return t
		}
	}
	if hasFD {
		return FD
	}
	return Unknown
}

// sequence returns the number a reply must repeat, spelled as it came: the worker looks its question up by it.
func sequence(m map[string]json.RawMessage, record []byte) (json.Number, error) {
	raw := m["seq"]
	if len(raw) == 0 || !isNumber(raw) {
		return "", violation("question has no number", record)
	}
	return json.Number(raw), nil
}

func isNumber(raw json.RawMessage) bool {
	return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// wanted are the members that decode looks at. No other is kept, so a record with a million members costs no more than its bytes.
var wanted = map[string]bool{
	"cmd": true, "act": true, "seq": true, "ack": true, "accepted": true, "key": true, "type": true, "msg": true, "index": true, "data": true,
	"address": true, "port": true, "addressType": true, "fd": true, "flags": true, "backlog": true, "readableAll": true, "writableAll": true,
	"connections": true,
}

// members returns the wanted members of a JSON object, none for any other value. As in JavaScript names are exact and the last one wins.
func members(raw json.RawMessage) map[string]json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	m := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil
		}
		if s, ok := name.(string); ok && wanted[s] {
			m[s] = value
		}
	}
	return m
}

func text(raw json.RawMessage) (string, bool) {
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// number reads a whole number, also out of a string.
func number(raw json.RawMessage) (int, bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// truth is JavaScript's notion of a true value.
func truth(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}
