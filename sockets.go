package muster

import (
	"net"
	"sync"
)

// socketCounts counts the connections that a Node master passed with a key, because server.getConnections and
// server.close in the master wait for what we say about them.
//
//	M  NODE_SOCKET_GET_COUNT {key}      W  NODE_SOCKET_COUNT {key, count}
//	M  NODE_SOCKET_NOTIFY_CLOSE {key}   W  NODE_SOCKET_ALL_CLOSED {key}, as soon as the count is 0
type socketCounts struct {
	ch *channel

	mu      sync.Mutex
	open    map[string]int
	waiting map[string]bool // keys with open connections whose end the master waits for
}

type socketMessage struct {
	Cmd   string `json:"cmd"`
	Key   string `json:"key"`
	Count *int   `json:"count,omitempty"`
}

func newSocketCounts(ch *channel) *socketCounts {
	return &socketCounts{ch: ch, open: make(map[string]int), waiting: make(map[string]bool)}
}

// track returns c as a connection that is counted under key until it is closed. An empty key is not counted.
func (s *socketCounts) track(key string, c net.Conn) net.Conn {
	if key == "" {
		return c
	}
	s.mu.Lock()
	s.open[key]++
	s.mu.Unlock()
	return wrapConn(c, &tracked{release: func() { s.closed(key) }})
}

func (s *socketCounts) closed(key string) {
	s.mu.Lock()
	s.open[key]--
	last := s.open[key] == 0
	tell := last && s.waiting[key]
	if last {
		delete(s.open, key)
		delete(s.waiting, key)
	}
	s.mu.Unlock()
	if tell {
		s.ch.send(socketMessage{Cmd: "NODE_SOCKET_ALL_CLOSED", Key: key})
	}
}

func (s *socketCounts) tellCount(key string) {
	s.mu.Lock()
	n := s.open[key]
	s.mu.Unlock()
	s.ch.send(socketMessage{Cmd: "NODE_SOCKET_COUNT", Key: key, Count: &n})
}

func (s *socketCounts) tellWhenClosed(key string) {
	s.mu.Lock()
	busy := s.open[key] > 0
	if busy {
		s.waiting[key] = true
	}
	s.mu.Unlock()
	if !busy {
		s.ch.send(socketMessage{Cmd: "NODE_SOCKET_ALL_CLOSED", Key: key})
	}
}
