// Package sock opens, names, duplicates and watches the listening sockets that a master holds for its slots.
//
// A slot owns its sockets: the master opens them before any worker starts and keeps them for as long as the app lives,
// so that whoever occupies the slot inherits them and finds the connections that its predecessor left in the queue.
//
//	OpenShared  one socket, one queue, any worker takes the next connection
//	OpenSlots   one SO_REUSEPORT socket per slot, the kernel spreads the connections by hash
//	Adopt       a socket that came by a hand-over or from a manager above
//
// Sockets are raw descriptors and are never given to Go's network poller, because O_NONBLOCK lives on the open file
// description that master and workers share: it is set or cleared once, at open.
package sock
