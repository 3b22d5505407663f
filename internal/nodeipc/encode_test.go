package nodeipc

import (
	"encoding/json"
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	q := Query{Seq: "1", Data: raw("null")}
	tls := Query{Seq: "1", Data: raw(`{"ticketKeys":"d6"}`)}
	key := "null:34567:4:undefined:0"
	tcp, pipe, udp := socket{}, socket{unix: true}, socket{dgram: true}
	server := func(q Query, data json.RawMessage, s socket) any {
		return wrap(listenerAnswer(q, key, data, 7), s, socketTypeServer)
	}
	for _, tt := range []struct {
		name  string
		frame any
		want  string
	}{
		{"shared", server(q, nil, tcp), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":null,"seq":7},"socketType":1,"nativeKind":"tcp"}`},
		{"path", server(q, nil, pipe), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":null,"seq":7},"socketType":1,"nativeKind":"pipe"}`},
		{"udp", server(q, nil, udp), `{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":null,"seq":7}}`},
		{"tls, own data", server(tls, nil, tcp), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":{"ticketKeys":"d6"},"seq":7},"socketType":1,"nativeKind":"tcp"}`},
		{"tls, null data", server(tls, raw("null"), tcp), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":{"ticketKeys":"d6"},"seq":7},"socketType":1,"nativeKind":"tcp"}`},
		{"tls, the first one's data", server(tls, raw(`{"ticketKeys":"aa"}`), tcp), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:34567:4:undefined:0","ack":1,"data":{"ticketKeys":"aa"},"seq":7},"socketType":1,"nativeKind":"tcp"}`},
		{"error", errorAnswer(q, key, syscall.Errno(98), 7), `{"cmd":"NODE_CLUSTER","errno":-98,"key":"null:34567:4:undefined:0","ack":1,"data":null,"seq":7}`},
		{"error 0", errorAnswer(q, key, 0, 7), `{"cmd":"NODE_CLUSTER","errno":-22,"key":"null:34567:4:undefined:0","ack":1,"data":null,"seq":7}`},
		{"connection", wrap(act{Cmd: "NODE_CLUSTER", Act: "newconn", Key: key, Seq: 2}, tcp, socketTypeConn), `{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:34567:4:undefined:0","seq":2},"socketType":0,"nativeKind":"tcp"}`},
		{"disconnect", act{Cmd: "NODE_CLUSTER", Act: "disconnect", Seq: 6}, `{"cmd":"NODE_CLUSTER","act":"disconnect","seq":6}`},
		{"exit", exitAnswer{Cmd: "NODE_CLUSTER", Ack: "5", Seq: 1}, `{"cmd":"NODE_CLUSTER","ack":5,"seq":1}`},
	} {
		b, err := line(tt.frame)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want+"\n", string(b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestUserLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		msg  any
		want string
	}{
		{"shutdown", "\"shutdown\"\n"},
		{nil, "null\n"},
		{map[string]any{"cmd": "x"}, "{\"cmd\":\"x\"}\n"},
		{raw("{\n\"a\":\n1}"), "{\"a\":1}\n"},
		{"two\nlines", "\"two\\nlines\"\n"},
	} {
		b, err := userLine(tt.msg)
		if err != nil || string(b) != tt.want {
			t.Errorf("%v: %q, %v; want %q", tt.msg, b, err, tt.want)
		}
	}
}

func TestUserLineRefuses(t *testing.T) {
	t.Parallel()
	for _, msg := range []any{map[string]any{"cmd": "NODE_HANDLE_ACK"}, raw(`{"cmd":"\u004eODE_HANDLE"}`)} {
		if _, err := userLine(msg); !errors.Is(err, ErrMessage) {
			t.Errorf("%v: %v, want %v", msg, err, ErrMessage)
		}
	}
	for _, msg := range []any{make(chan int), raw("{")} {
		if _, err := userLine(msg); err == nil {
			t.Errorf("%v was encoded", msg)
		}
	}
}
