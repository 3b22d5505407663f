package nodeipc

import "bytes"

// framePing announces a handle that does not come. Node, a cluster worker or not, refuses it by NODE_HANDLE_NACK as soon as its loop turns, and
// does nothing else: so do versions 18 to 26, and workers on the SDK.
var framePing = []byte(`{"cmd":"NODE_HANDLE","type":"net.Native"}` + "\n")

// framePingAccepts is the same to Node. A worker on the SDK answers it when its program takes connections.
var framePingAccepts = []byte(`{"cmd":"NODE_HANDLE","type":"net.Native","accepts":true}` + "\n")

// Ping asks a worker for a sign of life, or, where it can tell, whether it takes connections: the answer is an Accepted, not OK, with the number that
// is returned. Handles that are sent later wait for it, because Node gives a descriptor that it reads to the first record that may have one. At the
// end of the channel nothing is told of a ping that was not answered.
func (c *Conn) Ping(accepts bool) (int64, error) {
	frame := framePing
	if accepts {
		frame = framePingAccepts
	}
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	if err := c.out.push(&outbound{data: frame, fd: -1, ref: HandleAck{Seq: c.seq}}); err != nil {
		return 0, err
	}
	c.seq++
	return c.seq - 1, nil
}

func (f *outbound) isPing() bool {
	return f.fd < 0 && (bytes.Equal(f.data, framePing) || bytes.Equal(f.data, framePingAccepts))
}

// awaited tells whether the worker acknowledges the record.
func (f *outbound) awaited() bool { return f.fd >= 0 || f.isPing() }

// pinged tells whether a ping is not answered yet.
func (o *outbox) pinged() bool {
	for _, f := range o.unacked {
		if f.isPing() {
			return true
		}
	}
	return false
}

// ofPing tells whether it is about a ping: any other has more than a number.
func (h HandleAck) ofPing() bool { return h.Seq != 0 && h == (HandleAck{Seq: h.Seq}) }
