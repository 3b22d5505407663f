package master

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/musterd/muster/api"
)

// peer is the process at the other end of a connection, as the kernel knows it.
type peer struct {
	uid int
	err error // why it is not known
}

type peerKey struct{}

// withPeer asks the kernel once per connection. It is for http.Server.ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	return context.WithValue(ctx, peerKey{}, peer{uid, err})
}

func peerOf(ctx context.Context) peer {
	p, ok := ctx.Value(peerKey{}).(peer)
	if !ok {
		return peer{uid: -1, err: fmt.Errorf("the connection is none of the control socket")}
	}
	return p
}

// check refuses everybody but the user who runs the master, and root.
func (p peer) check() error {
	switch {
	case p.err != nil:
		return &api.Error{Kind: api.KindForbidden, Message: "find out who you are: " + p.err.Error()}
	case p.uid == os.Geteuid() || p.uid == 0:
		return nil
	}
	return &api.Error{
		Kind:    api.KindForbidden,
		Message: fmt.Sprintf("user %d may not control an app of user %d", p.uid, os.Geteuid()),
		Hint:    "only the user who started the app, and root, may",
	}
}
