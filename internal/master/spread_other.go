//go:build !linux

package master

// canSpread is false where SO_REUSEPORT gives all connections to one socket.
const canSpread = false
