package apiserver

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/musterd/muster/api"
)

// Peer is the process at the other end of a connection, as the kernel knows it.
type Peer struct {
	UID int
	Err error // why it is not known
}

type peerKey struct{}

// askPeer asks the kernel once per connection.
func askPeer(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	return WithPeer(ctx, Peer{uid, err})
}

// WithPeer returns a context for a connection of that peer.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf is who made the connection that a request came on.
func PeerOf(ctx context.Context) Peer {
	p, ok := ctx.Value(peerKey{}).(Peer)
	if !ok {
		return Peer{UID: -1, Err: fmt.Errorf("the connection is none of the control socket")}
	}
	return p
}

// Check refuses everybody but the user who runs this process, and root.
func (p Peer) Check() error {
	switch {
	case p.Err != nil:
		return &api.Error{Kind: api.KindForbidden, Message: "find out who you are: " + p.Err.Error()}
	case p.UID == os.Geteuid() || p.UID == 0:
		return nil
	}
	return &api.Error{
		Kind:    api.KindForbidden,
		Message: fmt.Sprintf("user %d may not control an app of user %d", p.UID, os.Geteuid()),
		Hint:    "only the user who started the app, and root, may",
	}
}
