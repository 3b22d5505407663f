package nodeipc

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTupleAndKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		q          Query
		tuple, key string
	}{
		{"port", Query{Port: 3000, HasPort: true, Type: TCP4}, "null:3000:4:undefined", "null:3000:4:undefined:0"},
		{"same port again", Query{Port: 3000, HasPort: true, Type: TCP4, Index: 1}, "null:3000:4:undefined", "null:3000:4:undefined:1"},
		{"port 0", Query{HasPort: true, Type: TCP4, Index: 1}, "null:0:4:undefined:1", "null:0:4:undefined:1"},
		{"host", Query{Address: "::1", HasAddress: true, Port: 1, HasPort: true, Type: TCP6}, "::1:1:6:undefined", "::1:1:6:undefined:0"},
		{"path", Query{Address: "/a.sock", HasAddress: true, Port: -1, HasPort: true, Type: Path}, "/a.sock:-1:-1:undefined", "/a.sock:-1:-1:undefined:0"},
		{"udp without port", Query{Address: "::", HasAddress: true, Type: UDP6}, ":::null:udp6:undefined:0", ":::null:udp6:undefined:0"},
		{"descriptor", Query{Type: FD, FD: 3, HasFD: true, Index: 2}, "null:null:null:3", "null:null:null:3:2"},
	} {
		if tt.q.Tuple() != tt.tuple || tt.q.Key() != tt.key {
			t.Errorf("%s: %q, %q", tt.name, tt.q.Tuple(), tt.q.Key())
		}
	}
}

func TestKeyIsUnique(t *testing.T) {
	t.Parallel()
	query := rapid.Custom(func(t *rapid.T) Query {
		q := Query{
			Index: rapid.IntRange(0, 2).Draw(t, "index"),
			Port:  rapid.SampledFrom([]int{0, 1, 11}).Draw(t, "port"), HasPort: true,
			Type: rapid.SampledFrom([]AddressType{TCP4, TCP6, UDP4, UDP6}).Draw(t, "type"),
		}
		q.Address = rapid.SampledFrom([]string{"", "::", "::1", "1.1.1.1", "::1:1"}).Draw(t, "address")
		q.HasAddress = q.Address != ""
		return q
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := query.Draw(t, "a"), query.Draw(t, "b")
		same := a.Address == b.Address && a.Port == b.Port && a.Type == b.Type
		if (a.Key() == b.Key()) != (same && a.Index == b.Index) {
			t.Fatalf("keys %q, %q", a.Key(), b.Key())
		}
		if (a.Tuple() == b.Tuple()) != (same && (a.Port != 0 || a.Index == b.Index)) {
			t.Fatalf("tuples %q, %q", a.Tuple(), b.Tuple())
		}
	})
}
