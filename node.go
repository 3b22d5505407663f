package muster

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// maxPending is how many sockets that the master sent may wait for a Listen call of the program.
const maxPending = 16

// node is a master at the other end of Node's channel: Node itself or muster.
//
//	cluster worker                        plain fork
//	W  online                             M  NODE_HANDLE net.Server, any message
//	W  queryServer                        W  NODE_HANDLE_ACK
//	M  NODE_HANDLE {ack, key} + socket    M  NODE_HANDLE net.Socket, any message
//	   or {ack, key, sockname}            W  NODE_HANDLE_ACK
//	W  NODE_HANDLE_ACK (with a socket)
//	W  listening
//	M  NODE_HANDLE newconn + connection
//	W  NODE_HANDLE_ACK, {ack, accepted}
//	M  disconnect                         M  end of stream
//	W  close, end of stream               W  end of stream
type node struct {
	w         *worker
	ch        *channel
	clustered bool

	seq     atomic.Int64
	sockets *socketCounts

	mu      sync.Mutex
	pending map[int64]pending    // queries that wait for their answer
	tuples  map[string]int       // next index of each address that is in use
	inUse   map[string]int       // listeners of each address that is in use
	routes  map[string]*listener // by cluster key
	first   *listener            // plain fork: takes the connections that name no listener
	bare    *listener            // plain fork: first, while it has no socket of its own
	early   []net.Conn           // plain fork: connections that came before first

	servers chan int      // plain fork: listening sockets that wait for a Listen call; the receiver owns them
	packets chan int      // plain fork: bound UDP sockets likewise
	arrived chan struct{} // plain fork: closed when the first connection came
	once    sync.Once
}

// openNode takes over the channel that the environment names.
func openNode(w *worker, env environment) (*node, error) {
	fd, err := strconv.Atoi(env.channelFD)
	if err != nil {
		return nil, fmt.Errorf("open channel: NODE_CHANNEL_FD=%q is not a number", env.channelFD)
	}
	closeOnExec(fd)
	if s := env.serialization; s != "" && s != "json" {
		return nil, fmt.Errorf("open channel: serialization %q is not supported, the master must use json", s)
	}
	ch, err := openChannel(fd)
	if err != nil {
		return nil, fmt.Errorf("open channel: NODE_CHANNEL_FD: %w", err)
	}
	n := &node{
		w: w, ch: ch, clustered: env.uniqueID != "",
		pending: make(map[int64]pending), tuples: make(map[string]int), inUse: make(map[string]int),
		routes: make(map[string]*listener), servers: make(chan int, maxPending), packets: make(chan int, maxPending),
		arrived: make(chan struct{}),
	}
	n.sockets = newSocketCounts(ch)
	return n, nil
}

// start says that the worker is there and begins to listen to the master.
func (n *node) start() {
	if n.clustered {
		n.tell("online")
	}
	go n.receive()
}

// receive ends when the channel does.
func (n *node) receive() {
	if err := n.ch.receive(n.handle); err != nil {
		fmt.Fprintf(os.Stderr, "muster: channel broke: %v\n", err)
		n.ch.close()
	}
	n.w.masterGone()
}

// envelope is the part of an internal record that decides what happens to it.
type envelope struct {
	Cmd       string          `json:"cmd"`
	Type      string          `json:"type"`
	Msg       json.RawMessage `json:"msg"`
	Key       string          `json:"key"`
	DgramType string          `json:"dgramType"`
	Accepts   bool            `json:"accepts"` // of a ping: whether we take connections
}

// handle acts on one record. Everything that is not internal is the program's, and it has no way to ask for it.
func (n *node) handle(record []byte, takeFD func() int) {
	var e envelope
	if json.Unmarshal(record, &e) != nil || !strings.HasPrefix(e.Cmd, "NODE_") {
		return
	}
	switch e.Cmd {
	case "NODE_HANDLE":
		n.handleHandle(e, takeFD())
	case "NODE_CLUSTER":
		n.handleCluster(record, -1)
	case "NODE_SOCKET_GET_COUNT":
		n.sockets.tellCount(e.Key)
	case "NODE_SOCKET_NOTIFY_CLOSE":
		n.sockets.tellWhenClosed(e.Key)
	}
}

// handleHandle acknowledges a descriptor, once, and passes it on. A retransmitted socket comes wrapped twice. A record with neither descriptor nor
// message is muster's ping: it is refused when the program is known to be alive, and until then no descriptor comes.
func (n *node) handleHandle(e envelope, fd int) {
	if fd < 0 && e.Msg == nil {
		go func() { // ends when the program gives a sign of life
			n.w.awaitAlive(e.Accepts)
			n.ch.send(cmd{"NODE_HANDLE_NACK"})
		}()
		return
	}
	if fd < 0 {
		n.ch.send(cmd{"NODE_HANDLE_NACK"})
		return
	}
	n.ch.send(cmd{"NODE_HANDLE_ACK"})
	for {
		var inner envelope
		if json.Unmarshal(e.Msg, &inner) != nil || inner.Cmd != "NODE_HANDLE" {
			break
		}
		e = inner
	}
	n.deliver(e, fd)
}

type cmd struct {
	Cmd string `json:"cmd"`
}

// deliver owns fd.
func (n *node) deliver(e envelope, fd int) {
	var inner envelope
	if json.Unmarshal(e.Msg, &inner) == nil && inner.Cmd == "NODE_CLUSTER" {
		n.handleCluster(e.Msg, fd)
		return
	}
	switch kind := kindOf(fd); {
	case e.Type == "net.Server" || e.Type == "net.BoundSocket" || kind == listeningSocket:
		n.server(fd)
	case kind == packetSocket:
		n.park(n.packets, fd)
	case kind == streamSocket:
		n.connection(e.Key, fd)
	default:
		closeFD(fd)
	}
}

// park keeps a socket for the next Listen call, or closes it if too many wait already.
func (n *node) park(queue chan int, fd int) {
	select {
	case queue <- fd:
	default:
		closeFD(fd)
	}
}

// tell sends a cluster message of which the act says all.
func (n *node) tell(act string) {
	n.ch.send(clusterMessage{Cmd: "NODE_CLUSTER", Act: act, Seq: n.nextSeq()})
}

func (n *node) nextSeq() int64 { return n.seq.Add(1) - 1 }

// ready says so in the words of process.send('ready').
func (n *node) ready() { n.ch.send("ready") }

// dying says so in words that masters made of child_process.fork understand, and muster too.
func (n *node) dying() {
	n.ch.send(struct {
		Act string `json:"act"`
	}{"suicide"})
}

// leave closes the channel: the master sees the end of the stream.
func (n *node) leave() { n.ch.close() }

func (n *node) listen(o Options, addrs []address) (*listener, error) {
	if n.clustered {
		return n.listenCluster(o, addrs)
	}
	return n.listenFork(o, addrs)
}

func (n *node) listenPacket(a address) (net.PacketConn, error) {
	if n.clustered {
		return n.packetCluster(a)
	}
	return n.packetFork(a)
}
