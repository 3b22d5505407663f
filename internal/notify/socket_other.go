//go:build !linux

package notify

import "errors"

// Socket receives the notifications of one worker; only Linux has it.
type Socket struct{}

// Listen returns errors.ErrUnsupported.
func Listen(string) (*Socket, error) { return nil, errors.ErrUnsupported }

// Path returns an empty path.
func (*Socket) Path() string { return "" }

// Close returns errors.ErrUnsupported.
func (*Socket) Close() error { return errors.ErrUnsupported }

// Receive returns errors.ErrUnsupported.
func (*Socket) Receive() (Datagram, error) { return Datagram{}, errors.ErrUnsupported }

// Send does nothing without a manager, when path is empty, else it returns errors.ErrUnsupported.
func Send(path string, _ Message, _ ...int) error {
	if path == "" {
		return nil
	}
	return errors.ErrUnsupported
}

// Detach returns errors.ErrUnsupported.
func (*Socket) Detach() (int, error) { return -1, errors.ErrUnsupported }

// Adopt returns errors.ErrUnsupported.
func Adopt(int, string) (*Socket, error) { return nil, errors.ErrUnsupported }

// FD returns -1.
func (*Socket) FD() int { return -1 }
