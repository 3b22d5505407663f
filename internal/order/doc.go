// Package order decides which of several apps may start, by what they depend on and by how far the others are, and which must end before
// another. It does no I/O and reads no clock: the daemon tells it what is, and does what it says.
package order
