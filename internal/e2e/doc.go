// Package e2e holds the end-to-end tests: the real binary with real workers, sockets and signals. There is no other code in it.
package e2e
