package inspector

import (
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
)

// cutOff is how long a test waits for what never comes.
const cutOff = 50 * time.Millisecond

func TestMain(m *testing.M) { testutil.Goroutines(m) }
