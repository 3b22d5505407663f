package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/cgroup"
	"github.com/musterd/muster/internal/fdpass"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/nodeipc"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
)

// SnapshotVersion is the version of the snapshot that this binary writes. It reads this one and those before. What a newer binary added
// is of no meaning to an older one, which refuses it before anything has happened.
const SnapshotVersion = 1

// snapshot is all that a master knows, for the process image that goes on with its workers. The descriptors in it are numbers, which live
// through an execve.
type snapshot struct {
	Version   int              `json:"version"`
	Config    Config           `json:"config"`
	State     *lifecycle.State `json:"state"`
	Slots     int              `json:"slots"`
	Asks      bool             `json:"asks,omitempty"`
	Ops       uint64           `json:"ops,omitempty"`
	Stops     int              `json:"stops,omitempty"`
	Gives     uint64           `json:"gives,omitempty"`
	Rescued   uint64           `json:"rescued,omitempty"`
	Upgrades  int              `json:"upgrades,omitempty"`
	Folder    rundir.Handle    `json:"folder"`
	Control   int              `json:"control"` // the listening socket of the API; -1: none
	Memory    memory           `json:"memory"`
	Recent    []api.Event      `json:"recent,omitempty"` // events that a client may have missed
	Guard     proc.GuardHandle `json:"guard"`
	Listeners []savedListener  `json:"listeners"`
	Workers   []savedWorker    `json:"workers"`
	Waiting   []savedRescue    `json:"waiting,omitempty"`
	LastExit  proc.Exit        `json:"last_exit"`
	Pages     savedPages       `json:"pages,omitzero"`
	Groups    *cgroup.Group    `json:"groups,omitempty"`
	Together  app.GroupLimits  `json:"together,omitzero"` // in force for Groups
	Refused   []string         `json:"refused,omitempty"`
	Box       *[2]int          `json:"box,omitempty"` // both ends of the app's box
}

// savedPages is what a master has told its store of the pages of its state.
type savedPages struct {
	Number uint64   `json:"number"`
	Names  []string `json:"names,omitempty"`
}

type savedListener struct {
	app.Listener
	Declared bool            `json:"declared,omitempty"`
	Tuple    string          `json:"tuple,omitempty"`
	Shared   bool            `json:"shared,omitempty"`
	Closed   bool            `json:"closed,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Sockets  []int           `json:"sockets"`
	OwnsPath bool            `json:"owns_path,omitempty"`
	Steering *savedSteering  `json:"steering,omitempty"`
}

type savedSteering struct {
	Slots   int   `json:"slots"`   // descriptors of the maps
	Buckets int   `json:"buckets"` //
	Weights []int `json:"weights"`
}

type savedWorker struct {
	ID        lifecycle.WorkerID    `json:"id"`
	Slot      int                   `json:"slot"`
	Gen       lifecycle.Generation  `json:"gen"`
	Process   proc.Handle           `json:"process"`
	Ended     *proc.Exit            `json:"ended,omitempty"` // it was reaped, and the core not yet told
	Started   time.Time             `json:"started"`
	Phase     lifecycle.Phase       `json:"phase,omitempty"`
	Since     time.Time             `json:"since,omitzero"` // in that phase
	Channel   int                   `json:"channel"`        // -1: none, or it has ended
	Business  *nodeipc.State        `json:"business,omitempty"`
	Notify    int                   `json:"notify"`         // -1: none
	Output    [2]int                `json:"output"`         // stdout and stderr; -1: ended
	Begun     [2][]byte             `json:"begun,omitzero"` // unfinished lines of stdout and stderr
	Tail      []string              `json:"tail,omitempty"`
	Asked     bool                  `json:"asked,omitempty"`
	Online    bool                  `json:"online,omitempty"`
	Ready     bool                  `json:"ready,omitempty"`
	Waiting   []nodeipc.Query       `json:"waiting,omitempty"`
	Keys      map[string]int        `json:"keys,omitempty"` // to the listener's index
	Unacked   int                   `json:"unacked,omitempty"`
	Rescued   map[int64]savedRescue `json:"rescued,omitempty"`
	StopSent  bool                  `json:"stop_sent,omitempty"`
	Killed    bool                  `json:"killed,omitempty"`
	Drained   bool                  `json:"drained,omitempty"`
	Status    string                `json:"status,omitempty"`
	Inspect   int                   `json:"inspect,omitempty"` // port of Node's inspector
	Unheard   []savedEvent          `json:"unheard,omitempty"`
	Unnoticed []notify.Message      `json:"unnoticed,omitempty"`
	Severed   bool                  `json:"-"` // it lives, and nobody has the other ends of its streams
	Reopen    bool                  `json:"-"` // its notify socket was lost
}

type savedRescue struct {
	FD       int                  `json:"fd"`
	Listener int                  `json:"listener"`
	From     int                  `json:"from"`
	Refused  []lifecycle.WorkerID `json:"refused,omitempty"`
}

// savedEvent is an event with the name of its type.
type savedEvent struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

func saveEvent(e nodeipc.Event) (savedEvent, error) {
	data, err := json.Marshal(e)
	return savedEvent{Kind: fmt.Sprintf("%T", e), Data: data}, err
}

// event is the reverse of saveEvent.
func (s savedEvent) event() (nodeipc.Event, error) {
	switch s.Kind {
	case "nodeipc.Online":
		return decodeEvent[nodeipc.Online](s.Data)
	case "nodeipc.Query":
		return decodeEvent[nodeipc.Query](s.Data)
	case "nodeipc.Listening":
		return decodeEvent[nodeipc.Listening](s.Data)
	case "nodeipc.Closed":
		return decodeEvent[nodeipc.Closed](s.Data)
	case "nodeipc.ExitedAfterDisconnect":
		return decodeEvent[nodeipc.ExitedAfterDisconnect](s.Data)
	case "nodeipc.Accepted":
		return decodeEvent[nodeipc.Accepted](s.Data)
	case "nodeipc.HandleAck":
		return decodeEvent[nodeipc.HandleAck](s.Data)
	case "nodeipc.HandleLost":
		return decodeEvent[nodeipc.HandleLost](s.Data)
	case "nodeipc.Connections":
		return decodeEvent[nodeipc.Connections](s.Data)
	case "nodeipc.Message":
		return decodeEvent[nodeipc.Message](s.Data)
	}
	return nil, fmt.Errorf("unknown event %s", s.Kind)
}

func decodeEvent[T nodeipc.Event](data []byte) (nodeipc.Event, error) {
	var e T
	err := json.Unmarshal(data, &e)
	return e, err
}

// fds are all the descriptors that must live through the execve.
func (s *snapshot) fds() []int {
	all := []int{s.Guard.Conn, s.Guard.Process.PIDFD, s.Folder.Lock, s.Control}
	for _, l := range s.Listeners {
		all = append(all, l.Sockets...)
		if l.Steering != nil {
			all = append(all, l.Steering.Slots, l.Steering.Buckets)
		}
	}
	for _, w := range s.Workers {
		all = append(all, w.Process.PIDFD, w.Channel, w.Notify, w.Output[0], w.Output[1])
		if w.Business != nil {
			all = append(all, w.Business.FDs()...)
		}
		for _, r := range w.Rescued {
			all = append(all, r.FD)
		}
	}
	for _, r := range s.Waiting {
		all = append(all, r.FD)
	}
	if s.Box != nil {
		all = append(all, s.Box[:]...)
	}
	return all
}

// loadSnapshot reads the snapshot in a memfd, which it closes.
func loadSnapshot(number string) (*snapshot, error) {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", RestoreVariable, err)
	}
	defer closeFD(fd)
	data, err := fdpass.ReadMemfd(fd)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot of the former master: %w", err)
	}
	return readSnapshot(data)
}

// readSnapshot checks a snapshot before anything is done with it.
func readSnapshot(data []byte) (*snapshot, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if head.Version < 1 || head.Version > SnapshotVersion {
		return nil, fmt.Errorf("read snapshot: version %d: %w", head.Version, errVersion)
	}
	s := &snapshot{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return s, nil
}

var errVersion = errors.New("this binary does not know it")

func marshalSnapshot(s *snapshot) ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	return data, nil
}

func closeFD(fd int) { _ = unix.Close(fd) }

// dup copies a descriptor; -1 stays -1.
func dup(fd int) int {
	if fd < 0 {
		return -1
	}
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return n
}
