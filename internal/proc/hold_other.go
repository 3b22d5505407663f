//go:build !linux

package proc

// Hold does nothing on this system.
func Hold() (release func()) { return func() {} }

// Gone is false on this system.
func (p *Process) Gone() bool { return false }
