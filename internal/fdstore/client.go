package fdstore

import "github.com/musterd/muster/internal/notify"

// Client is the way to whoever keeps descriptors for this process. The zero value keeps nothing.
type Client struct {
	path string
}

// NewClient returns a client of the store behind a notify socket.
func NewClient(path string) Client { return Client{path: path} }

// Works tells whether there is a store at all.
func (c Client) Works() bool { return c.path != "" }

// Push has a copy of a descriptor kept under a name, as a ValidName of package notify. The descriptor remains the caller's.
func (c Client) Push(name string, fd int) error {
	if c.path == "" || fd < 0 {
		return nil
	}
	poll := false // a descriptor at its end of file is still of worth
	return notify.Send(c.path, notify.Message{FDStore: true, FDName: name, FDPoll: &poll}, fd)
}

// Remove has the descriptors of that name forgotten.
func (c Client) Remove(name string) error {
	if c.path == "" {
		return nil
	}
	return notify.Send(c.path, notify.Message{FDStoreRemove: true, FDName: name})
}
