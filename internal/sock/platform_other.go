//go:build !linux

package sock

import (
	"errors"

	"github.com/musterd/muster/internal/app"
)

// slotsWork is false because elsewhere SO_REUSEPORT does not balance.
const slotsWork = false

// WhoListens finds nobody outside Linux.
func WhoListens(app.Listener) Owner { return Owner{} }

// Waiting is errors.ErrUnsupported outside Linux.
func Waiting(uint64, []int) (bool, error) { return false, errors.ErrUnsupported }

// Visible is false outside Linux.
func Visible(int) bool { return false }

func firstFreePort() int { return 1024 }

func (s *Socket) queue() (Queue, error) { return Queue{}, errors.ErrUnsupported }
