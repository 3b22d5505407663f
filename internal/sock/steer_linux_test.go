package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// steer attaches steering to sockets, where this process may.
func steer(t *testing.T, sockets []*Socket, o SteerOptions) *Steering {
	t.Helper()
	st, err := NewSteering(sockets, o)
	if errors.Is(err, fs.ErrPermission) && os.Getenv("CI") != "true" {
		t.Skipf("needs CAP_BPF: %v", err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// arrivals connects n times and returns how many of these connections each slot got; they are taken from the queues.
func arrivals(t *testing.T, sockets []*Socket, n int) []int {
	t.Helper()
	var clients []net.Conn
	for range n {
		clients = append(clients, dial(t, sockets[len(sockets)-1]))
	}
	return drain(t, sockets, clients)
}

// drain accepts the connections of these clients, wherever they are, and fails the test if there are others.
func drain(t *testing.T, sockets []*Socket, clients []net.Conn) []int {
	t.Helper()
	missing := map[netip.AddrPort]bool{}
	for _, c := range clients {
		missing[plain(c.LocalAddr().(*net.TCPAddr).AddrPort())] = true
	}
	counts := make([]int, len(sockets))
	eventually(t, "all connections have arrived", func() bool {
		for i, s := range sockets {
			for _, peer := range peers(t, s) {
				if missing[peer] {
					delete(missing, peer)
					counts[i]++
				} else {
					t.Errorf("slot %d got a connection of somebody else: %v", i, peer)
				}
			}
		}
		return len(missing) == 0
	})
	return counts
}

// peers empties a queue.
func peers(t *testing.T, s *Socket) (from []netip.AddrPort) {
	t.Helper()
	if s.FD() < 0 {
		return nil
	}
	for {
		fd, err := s.Accept()
		if errors.Is(err, ErrEmpty) {
			return from
		}
		check(t, err)
		sa, err := unix.Getpeername(fd)
		closeFD(t, fd)
		if err != nil { // it is gone again
			continue
		}
		peer, _ := addrPort(sa)
		from = append(from, plain(peer))
	}
}

// plain writes an IPv4 address in one way.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func TestSteeringFollowsTheWeights(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, app.Listener{Network: "tcp"}, 4, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	for i, n := range arrivals(t, slots, 200) {
		if n < 200/16 {
			t.Errorf("equal weights: slot %d got %d of 200", i, n)
		}
	}
	for only := range slots {
		weights := make([]int, len(slots))
		weights[only] = 1
		check(t, st.SetWeights(weights))
		want := make([]int, len(slots))
		want[only] = 40
		if got := arrivals(t, slots, 40); !slices.Equal(got, want) {
			t.Errorf("weights %v: arrivals %v", weights, got)
		}
	}
	check(t, st.SetWeights([]int{9, 0, 1, 0}))
	got := arrivals(t, slots, 300)
	if got[1]+got[3] != 0 || got[2] < 8 || got[2] > 80 {
		t.Errorf("weights 9 to 1: arrivals %v", got)
	}
}

func TestSteeringRefusesWeights(t *testing.T) {
	t.Parallel()
	st := steer(t, openSlots(t, local(), 2, Options{}), SteerOptions{})
	before := st.Table()
	for _, weights := range [][]int{nil, {1}, {0, 0}, {1, -1}, {1, 1, 1}} {
		if err := st.SetWeights(weights); err == nil {
			t.Errorf("weights %v were taken", weights)
		}
	}
	if !slices.Equal(before, st.Table()) || !slices.Equal(st.Weights(), []int{1, 1}) {
		t.Error("refused weights changed something")
	}
}

// Where the chosen slot has no socket the kernel's hash decides: no connection is refused. Not parallel: a process that another test
// forks holds the closed socket until its exec, takes connections with it, and resets them.
func TestSteeringToAClosedSlot(t *testing.T) {
	slots := openSlots(t, local(), 3, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	check(t, st.SetWeights([]int{1, 0, 0}))
	check(t, slots[0].Close())
	got := arrivals(t, slots, 60)
	if got[1] == 0 || got[2] == 0 {
		t.Errorf("arrivals %v, want some in both open slots", got)
	}
}

func TestStickySteering(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, app.Listener{Network: "tcp"}, 4, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{Sticky: true})
	for _, weights := range [][]int{{1, 1, 1, 1}, {3, 0, 1, 0}} {
		check(t, st.SetWeights(weights))
		table := st.Table()
		for i := range 30 {
			source := netip.AddrFrom4([4]byte{127, 0, byte(i), byte(7 * i)}).Next()
			checkSticky(t, slots, source, table[sourceBucket(source.AsSlice())])
		}
		checkSticky(t, slots, netip.IPv6Loopback(), table[sourceBucket(netip.IPv6Loopback().AsSlice())])
	}
}

// checkSticky connects several times from one source address.
func checkSticky(t *testing.T, slots []*Socket, source netip.Addr, slot int) {
	t.Helper()
	to := "127.0.0.1"
	if source.Is6() {
		to = "::1"
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	const connections = 3
	var clients []net.Conn
	for range connections {
		c, err := d.Dial("tcp", net.JoinHostPort(to, fmt.Sprint(slots[0].Port())))
		check(t, err)
		t.Cleanup(func() { _ = c.Close() })
		clients = append(clients, c)
	}
	want := make([]int, len(slots))
	want[slot] = connections
	if got := drain(t, slots, clients); !slices.Equal(got, want) {
		t.Errorf("from %s: arrivals %v, want %v", source, got, want)
	}
}

func TestSteeringTakesNewSlots(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 2, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	more, err := AddSlot(slots[0].Listener(), Options{Nonblock: true})
	check(t, err)
	t.Cleanup(func() { check(t, more.Close()) })
	slots = append(slots, more)
	check(t, st.Add(2, more))
	check(t, st.Add(2, more))
	if got := arrivals(t, slots, 40); got[2] != 0 {
		t.Errorf("arrivals %v before the new slot has a weight", got)
	}
	check(t, st.SetWeights([]int{0, 0, 1}))
	if got := arrivals(t, slots, 40); !slices.Equal(got, []int{0, 0, 40}) {
		t.Errorf("arrivals %v, want all in the new slot", got)
	}
	for _, i := range []int{-1, 4, Buckets} {
		if err := st.Add(i, more); err == nil {
			t.Errorf("slot %d was taken", i)
		}
	}
	check(t, more.Close())
	if err := st.Add(3, more); !errors.Is(err, ErrClosed) {
		t.Errorf("closed socket: %v", err)
	}
}

// A slot whose socket was closed gets another.
func TestSteeringReplacesASocket(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 2, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	replacement, err := AddSlot(slots[1].Listener(), Options{Nonblock: true})
	check(t, err)
	t.Cleanup(func() { check(t, replacement.Close()) })
	check(t, slots[0].Close())
	check(t, st.Add(0, replacement))
	check(t, st.SetWeights([]int{1, 0}))
	slots[0] = replacement
	if got := arrivals(t, slots, 20); !slices.Equal(got, []int{20, 0}) {
		t.Errorf("arrivals %v, want all in slot 0", got)
	}
}

func TestSteeringOfUDP(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, app.Listener{Network: "udp", Host: "127.0.0.1"}, 3, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	check(t, st.SetWeights([]int{0, 1, 0}))
	const datagrams = 20
	for range datagrams {
		_, err := dial(t, slots[0]).Write([]byte("x"))
		check(t, err)
	}
	buf := make([]byte, 8)
	for got := 0; got < datagrams; {
		eventually(t, "a datagram arrives in slot 1", func() bool {
			_, _, err := unix.Recvfrom(slots[1].FD(), buf, 0)
			return err == nil
		})
		got++
	}
	for _, i := range []int{0, 2} {
		if _, _, err := unix.Recvfrom(slots[i].FD(), buf, 0); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("slot %d has a datagram: %v", i, err)
		}
	}
}

// The program outlives its master, and the next one goes on with its table.
func TestSteeringIsHandedOver(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 3, Options{Nonblock: true})
	first := steer(t, slots, SteerOptions{})
	check(t, first.SetWeights([]int{0, 0, 1}))
	table := first.Table()
	slotsFD, bucketsFD := dupMaps(t, first)
	first.release() // as an execve does
	if got := arrivals(t, slots, 20); !slices.Equal(got, []int{0, 0, 20}) {
		t.Errorf("arrivals %v without a master", got)
	}
	next, err := RestoreSteering(slots, []int{0, 0, 1}, slotsFD, bucketsFD)
	check(t, err)
	defer func() { check(t, next.Close()) }()
	if !slices.Equal(next.Table(), table) {
		t.Error("the table changed on the way")
	}
	check(t, next.SetWeights([]int{1, 0, 0}))
	if got := arrivals(t, slots, 20); !slices.Equal(got, []int{20, 0, 0}) {
		t.Errorf("arrivals %v under the next master", got)
	}
}

func dupMaps(t *testing.T, st *Steering) (slots, buckets int) {
	t.Helper()
	a, b := st.FDs()
	slots, err := unix.FcntlInt(uintptr(a), unix.F_DUPFD_CLOEXEC, firstFD)
	check(t, err)
	buckets, err = unix.FcntlInt(uintptr(b), unix.F_DUPFD_CLOEXEC, firstFD)
	check(t, err)
	return slots, buckets
}

func TestRestoreSteeringChecksTheMaps(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 2, Options{})
	st := steer(t, slots, SteerOptions{})
	a, b := dupMaps(t, st)
	if _, err := RestoreSteering(slots, []int{1, 1}, b, a); err == nil {
		t.Error("swapped maps were taken")
	}
	a, b = dupMaps(t, st)
	if _, err := RestoreSteering(slots, []int{1, 1, 1}, a, b); err == nil {
		t.Error("three weights for two slots were taken")
	}
}

// A master may be killed after it has done something and before it has written that down: a slot that it added, or did not come to add, and
// weights that it changed.
func TestRestoreSteeringKnowsLess(t *testing.T) {
	t.Parallel()
	for _, added := range []bool{false, true} {
		slots := openSlots(t, local(), 2, Options{Nonblock: true})
		first, err := NewSteering(slots, SteerOptions{})
		if errors.Is(err, fs.ErrPermission) && os.Getenv("CI") != "true" {
			t.Skipf("needs CAP_BPF: %v", err)
		}
		check(t, err)
		check(t, first.SetWeights([]int{0, 1}))
		third, err := AddSlot(slots[0].listener, Options{Nonblock: true})
		check(t, err)
		t.Cleanup(func() { _ = third.Close() })
		slots = append(slots, third)
		if added {
			check(t, first.Add(2, third))
		}
		a, b := dupMaps(t, first)
		first.release()
		next, err := RestoreSteering(slots, []int{1, 1}, a, b)
		check(t, err)
		if slices.Equal(next.Weights(), []int{1, 1, 0}) {
			t.Error("weights that are not in force are taken for it")
		}
		check(t, next.SetWeights([]int{0, 0, 1}))
		if got := arrivals(t, slots, 20); !slices.Equal(got, []int{0, 0, 20}) {
			t.Errorf("added %v: arrivals %v", added, got)
		}
		check(t, next.Close())
	}
}

// After a crash of the master nobody has the maps any more.
func TestSteeringAfterACrash(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 2, Options{Nonblock: true})
	steer(t, slots, SteerOptions{}).release()
	st, err := NewSteering(slots, SteerOptions{})
	if !errors.Is(err, ErrSteered) {
		t.Fatalf("error %v, want %v", err, ErrSteered)
	}
	eventually(t, "the kernel lets go of the sockets", func() bool {
		st, err = NewSteering(slots, SteerOptions{})
		return !errors.Is(err, ErrSteered)
	})
	check(t, err)
	defer func() { check(t, st.Close()) }()
	check(t, st.SetWeights([]int{0, 1}))
	if got := arrivals(t, slots, 20); !slices.Equal(got, []int{0, 20}) {
		t.Errorf("arrivals %v, want all in slot 1", got)
	}
}

func TestCloseEndsSteering(t *testing.T) {
	t.Parallel()
	slots := openSlots(t, local(), 2, Options{Nonblock: true})
	st := steer(t, slots, SteerOptions{})
	check(t, st.SetWeights([]int{1, 0}))
	check(t, st.Close())
	check(t, st.Close())
	if got := arrivals(t, slots, 100); got[0] < 10 || got[1] < 10 {
		t.Errorf("arrivals %v, want both slots to have their share", got)
	}
}

func TestSteeringRefusesSockets(t *testing.T) {
	t.Parallel()
	if _, err := NewSteering(nil, SteerOptions{}); err == nil {
		t.Error("no sockets were taken")
	}
	steer(t, openSlots(t, local(), 1, Options{}), SteerOptions{}) // skips where it cannot work
	alone := openShared(t, local(), Options{})
	if _, err := NewSteering([]*Socket{alone}, SteerOptions{}); err == nil {
		t.Error("a socket outside of a group was taken")
	}
}

func TestUnprivilegedSteering(t *testing.T) {
	t.Parallel()
	p := startRole(t, "bare steer", nil)
	if line := p.line(); !strings.HasPrefix(line, "permission true ") {
		t.Errorf("got %q, want a permission error", line)
	}
}
