package nodeipc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cluster is a record of the cluster's conversation.
func cluster(rest string) string { return `{"cmd":"NODE_CLUSTER",` + rest + `}` }

var decodeCases = []struct {
	name   string
	record string
	want   any
}{
	{"online", cluster(`"act":"online","seq":0`), Online{}},
	{"online of bun", "\x02" + cluster(`"act":"online","seq":0`), Online{}},
	{"carriage return", cluster(`"act":"online","seq":0`) + "\r", Online{}},
	{"http, node 20", cluster(`"act":"queryServer","index":0,"data":null,"address":null,"port":34567,"addressType":4,"backlog":0,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Port: 34567, HasPort: true, Type: TCP4}},
	{"http, node 26", cluster(`"act":"queryServer","index":0,"data":null,"address":null,"port":34567,"addressType":4,"flags":0,"backlog":0,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Port: 34567, HasPort: true, Type: TCP4}},
	{"host, backlog false", cluster(`"act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":3000,"addressType":4,"flags":0,"backlog":false,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Address: "127.0.0.1", HasAddress: true, Port: 3000, HasPort: true, Type: TCP4}},
	{"ipv6 only, backlog", cluster(`"act":"queryServer","index":0,"data":null,"address":"::","port":34567,"addressType":6,"flags":1,"backlog":77,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Address: "::", HasAddress: true, Port: 34567, HasPort: true, Type: TCP6, Flags: FlagIPv6Only, Backlog: 77}},
	{"path", cluster(`"act":"queryServer","index":0,"data":null,"address":"/cwd/rel.sock","port":-1,"addressType":-1,"backlog":0,"readableAll":true,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Address: "/cwd/rel.sock", HasAddress: true, Port: -1, HasPort: true, Type: Path, ReadableAll: true}},
	{"path null, node 18", cluster(`"act":"queryServer","index":0,"data":null,"address":null,"port":-1,"addressType":-1,"backlog":0,"seq":1`), ignoredRecord{}},
	{"port 0, second", cluster(`"act":"queryServer","index":1,"data":null,"address":null,"port":0,"addressType":4,"backlog":0,"seq":2`),
		Query{Seq: "2", Index: 1, Data: raw("null"), HasPort: true, Type: TCP4}},
	{"udp", cluster(`"act":"queryServer","index":0,"data":null,"address":"0.0.0.0","port":34567,"addressType":"udp4","fd":-1,"flags":0,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Address: "0.0.0.0", HasAddress: true, Port: 34567, HasPort: true, Type: UDP4}},
	{"udp without port", cluster(`"act":"queryServer","index":0,"data":null,"address":"::","addressType":"udp6","fd":-1,"flags":4,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Address: "::", HasAddress: true, Type: UDP6, Flags: FlagReuseAddr}},
	{"descriptor", cluster(`"act":"queryServer","index":0,"data":null,"address":null,"port":null,"addressType":null,"fd":99,"backlog":0,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Type: FD, FD: 99, HasFD: true}},
	{"udp descriptor", cluster(`"act":"queryServer","index":0,"data":null,"address":null,"port":null,"addressType":"udp4","fd":9,"flags":null,"seq":1`),
		Query{Seq: "1", Data: raw("null"), Type: UDP4, FD: 9, HasFD: true}},
	{"tls", cluster(`"act":"queryServer","index":0,"data":{"ticketKeys":"d6"},"address":null,"port":3000,"addressType":4,"backlog":0,"seq":1`),
		Query{Seq: "1", Data: raw(`{"ticketKeys":"d6"}`), Port: 3000, HasPort: true, Type: TCP4}},
	{"numbers as strings", cluster(`"act":"queryServer","port":"3003","addressType":"6","backlog":"9","seq":4`),
		Query{Seq: "4", Port: 3003, HasPort: true, Type: TCP6, Backlog: 9}},
	{"nothing but a number", cluster(`"act":"queryServer","seq":1.5e1`), Query{Seq: "1.5e1"}},
	{"nonsense members", cluster(`"act":"queryServer","port":{},"address":[1],"index":"x","fd":1e99,"flags":0.5,"addressType":7,"seq":-1`), Query{Seq: "-1"}},
	{"listening", cluster(`"act":"listening","index":1,"data":null,"address":null,"port":44469,"addressType":4,"backlog":0,"seq":4`),
		Listening{Query: Query{Index: 1, Data: raw("null"), Port: 44469, HasPort: true, Type: TCP4}}},
	{"close", cluster(`"act":"close","key":"null:34567:4:undefined:0","seq":5`), Closed{Key: "null:34567:4:undefined:0"}},
	{"close of nothing", cluster(`"act":"close","seq":5`), ignoredRecord{}},
	{"exit", cluster(`"act":"exitedAfterDisconnect","seq":4`), ExitedAfterDisconnect{Seq: "4"}},
	{"accepted", cluster(`"ack":2,"accepted":true,"seq":3`), Accepted{Seq: 2, OK: true}},
	{"not accepted", cluster(`"ack":3,"accepted":false,"seq":4`), Accepted{Seq: 3}},
	{"reply to nothing", cluster(`"ack":3,"seq":4`), ignoredRecord{}},
	{"ack is a string", cluster(`"ack":"3","accepted":true,"seq":4`), ignoredRecord{}},
	{"connections", `{"cmd":"NODE_MUSTER","connections":4294967296}`, Connections{Count: 1 << 32}},
	{"no connections", `{"cmd":"NODE_MUSTER","connections":"many"}`, ignoredRecord{}},
	{"act from the future", cluster(`"act":"suspend","seq":4`), ignoredRecord{}},
	{"ack", `{"cmd":"NODE_HANDLE_ACK"}`, ackRecord{held: true}},
	{"nack", `{"cmd":"NODE_HANDLE_NACK"}`, ackRecord{}},
	{"cmd from the future", `{"cmd":"NODE_DEBUG_ENABLED"}`, ignoredRecord{}},
	{"escaped cmd", `{"cmd":"\u004eODE_HANDLE_ACK"}`, ackRecord{held: true}},
	{"handle", `{"cmd":"NODE_HANDLE","type":"net.Server","msg":"childserver"}`, handleRecord{kind: "net.Server", msg: raw(`"childserver"`)}},
	{"handle sent again", `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"sock","key":"6::::3000"}}`,
		handleRecord{kind: "net.Socket", msg: raw(`"sock"`)}},
	{"handle sent again and again", `{"cmd":"NODE_HANDLE","type":"a","msg":{"cmd":"NODE_HANDLE","type":"b","msg":{"cmd":"NODE_HANDLE","type":"c","msg":{"x":1}}}}`,
		handleRecord{kind: "c", msg: raw(`{"x":1}`)}},
	{"handle with an internal message", `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn"}}`, handleRecord{kind: "net.Native"}},
	{"handle without message", `{"cmd":"NODE_HANDLE","type":"net.Native"}`, handleRecord{kind: "net.Native"}},
	{"handle wrapped without end", strings.Repeat(`{"cmd":"NODE_HANDLE","msg":`, 99) + "1" + strings.Repeat("}", 99), handleRecord{}},
	{"socket count", `{"cmd":"NODE_SOCKET_GET_COUNT","key":"6::::34568"}`, socketCountRecord{"6::::34568"}},
	{"socket close", `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"6::::34568"}`, socketClosedRecord{"6::::34568"}},
	{"user object", `{"hello":"world"}`, user(`{"hello":"world"}`)},
	{"user string", `"ready"`, user(`"ready"`)},
	{"user null", `null`, user(`null`)},
	{"user with spaces", " [1, 2]\r", user(`[1, 2]`)},
	{"short cmd", `{"cmd":"NODE_"}`, user(`{"cmd":"NODE_"}`)},
	{"lower case cmd", `{"cmd":"node_x"}`, user(`{"cmd":"node_x"}`)},
	{"other name", `{"Cmd":"NODE_HANDLE"}`, user(`{"Cmd":"NODE_HANDLE"}`)},
	{"cmd is an object", `{"cmd":{"NODE_X":1}}`, user(`{"cmd":{"NODE_X":1}}`)},
	{"cmd within", `[{"cmd":"NODE_HANDLE"}]`, user(`[{"cmd":"NODE_HANDLE"}]`)},
	{"last cmd wins", `{"cmd":"NODE_HANDLE_ACK","cmd":"x"}`, user(`{"cmd":"NODE_HANDLE_ACK","cmd":"x"}`)},
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func user(s string) Message { return Message{Raw: raw(s), FD: -1} }

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range decodeCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode([]byte(tt.record))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ackRecord{}, handleRecord{}, socketCountRecord{}, socketClosedRecord{})); diff != "" {
				t.Errorf("decode %s (-want +got):\n%s", tt.record, diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, record := range []string{
		"", " ", "{", `{"a":1}{"b":2}`, "nonsense", "\x02", "\x02\x02{}",
		cluster(`"act":"queryServer","port":1,"addressType":4`),
		cluster(`"act":"queryServer","port":1,"addressType":4,"seq":"1"`),
		cluster(`"act":"exitedAfterDisconnect","seq":null`),
	} {
		_, err := decode([]byte(record))
		if _, ok := errors.AsType[*ProtocolError](err); !ok {
			t.Errorf("decode %q: %v, want a ProtocolError", record, err)
		}
	}
}

func TestProtocolErrorQuotesLittle(t *testing.T) {
	t.Parallel()
	_, err := decode([]byte(strings.Repeat("x", 1<<20)))
	if err == nil || len(err.Error()) > 300 || !strings.Contains(err.Error(), `not JSON: "xxx`) {
		t.Errorf("got %.400v", err)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		raw    string
		text   string
		isText bool
		act    string
	}{
		{`"ready"`, "ready", true, ""},
		{`"é😀\n"`, "é😀\n", true, ""},
		{`""`, "", true, ""},
		{`{"act":"suicide"}`, "", false, "suicide"},
		{`{"act":7}`, "", false, ""},
		{`{"x":{"act":"suicide"}}`, "", false, ""},
		{`["act"]`, "", false, ""},
		{`null`, "", false, ""},
		{`1`, "", false, ""},
	} {
		m := user(tt.raw)
		text, ok := m.Text()
		if text != tt.text || ok != tt.isText || m.Act() != tt.act {
			t.Errorf("%s: text %q %v, act %q", tt.raw, text, ok, m.Act())
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range decodeCases {
		f.Add([]byte(tt.record))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		got, err := decode(record)
		if (err == nil) == (got == nil) {
			t.Fatalf("decode %q: %v, %v", record, got, err)
		}
		switch r := got.(type) {
		case Query:
			checkAnswerable(t, r)
		case Message:
			if _, err := userLine(r.Raw); err != nil {
				t.Fatalf("message %q cannot be sent back: %v", r.Raw, err)
			}
		}
	})
}

// checkAnswerable proves that whatever was asked can be answered with one line of JSON that repeats the number.
func checkAnswerable(t *testing.T, q Query) {
	b, err := line(wrap(listenerAnswer(q, q.Key(), nil, 1), socket{}, socketTypeServer))
	if err != nil {
		t.Fatalf("answer %+v: %v", q, err)
	}
	if strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), `"ack":`+string(q.Seq)+`,`) {
		t.Fatalf("answer %+v: %q", q, b)
	}
}
