package master

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
)

// A master whose manager keeps descriptors for it gives it a copy of everything that must not end with the master: the listening sockets, its
// ends of the workers' channels and pipes, their pidfds, and its state. If it is killed, the workers serve on, and the next master is given all
// that, under these names:
//
//	state.N.0, state.N.1        the two pages of the state; see fdstore.Pages
//	lock, control               the place of the master, and the socket of its API
//	box                         the app's box; see below
//	l1.2                        socket 2 of listener 1
//	m1.slots, m1.buckets        the maps that steer connections of listener 1
//	w7.process.4711.TOKEN       the pidfd of worker 7
//	w7.channel, w7.notify, w7.stdout, w7.stderr
const (
	// StoreVariable says that the manager behind NOTIFY_SOCKET keeps descriptors. systemd says so by FDSTORE, since version 254.
	StoreVariable   = "MUSTER_STORE"
	systemdVariable = "FDSTORE"

	nameState   = "state."
	nameLock    = "lock"
	nameControl = "control"
	partProcess = "process"
	partChannel = "channel"
	partNotify  = "notify"
	partStdout  = "stdout"
	partStderr  = "stderr"
)

// keeping is what the master needs to leave its things to a successor. The loop owns it.
type keeping struct {
	store  fdstore.Client
	pages  *fdstore.Pages // nil: nothing is kept
	names  [2]string      // of the pages
	number uint64         // of the youngest page of the former master
	stale  []string       // names of pages that count no more when there are new ones
	failed bool           // the store was told something and did not take it
	giving bool           // it is given everything

	restUntil time.Time // a state that takes long to write is not written for its own sake
	late      bool      // and has changed since, or may have

	box       *fdstore.Box // nil: none
	boxed     bool         // it is up to date
	boxFailed bool         // it is not, and cannot be
}

// keepsOn tells whether somebody keeps descriptors for this process.
func keepsOn() bool {
	return os.Getenv("NOTIFY_SOCKET") != "" && (os.Getenv(StoreVariable) != "" || os.Getenv(systemdVariable) != "")
}

// openStore begins to keep, if somebody keeps for this master.
func (m *Master) openStore() {
	if !keepsOn() {
		return
	}
	pages, err := fdstore.NewPages("muster state", m.kept.number)
	if err != nil {
		m.log.Warn("state not kept: if the master is killed, the workers end with it", keyError, err)
		return
	}
	m.kept.store, m.kept.pages = fdstore.NewClient(os.Getenv("NOTIFY_SOCKET")), pages
	m.openBox()
}

// survives tells whether workers live on when the master is killed.
func (m *Master) survives() bool { return m.kept.pages != nil }

// keepAll gives the store everything that there is, after the first start and for a store that is new. The state comes last: without it the rest
// is nothing to go on with, see DropLeftovers. Only the lock follows, so that nobody but a successor is kept from the name.
func (m *Master) keepAll() {
	if !m.survives() {
		return
	}
	m.kept.failed, m.kept.giving = false, true
	defer func() { m.kept.giving = false }()
	m.push(nameControl, m.control.socket)
	for _, l := range m.listeners {
		m.keepListener(l)
	}
	for _, w := range m.workers {
		m.keepWorker(w)
	}
	old := append(m.kept.stale, m.kept.names[:]...)
	m.kept.stale = nil
	m.kept.names = [2]string{fmt.Sprint(nameState, time.Now().UnixNano(), ".0"), fmt.Sprint(nameState, time.Now().UnixNano(), ".1")}
	m.kept.boxed = true // for now: the former pages count until something stands in the new ones
	m.persist()
	m.kept.boxed = false
	m.fillBox()
	if m.kept.box != nil {
		m.push(nameBox, m.kept.box.FD())
	}
	written := int(m.kept.pages.Number() % 2) // the other page may be empty still
	for _, i := range []int{written, 1 - written} {
		m.push(m.kept.names[i], m.kept.pages.FDs()[i])
	}
	m.push(nameLock, m.run.Handle().Lock)
	for _, name := range old {
		if name != "" {
			m.unkeep(name)
		}
	}
}

// keepAt changes over to another store.
func (m *Master) keepAt(socket string) error {
	if !m.survives() || socket == "" {
		return &api.Error{
			Kind: api.KindConflict, Message: "the workers of this master end with it: nobody needs its descriptors", Hint: "only a master that was started with " + StoreVariable + " gives them",
		}
	}
	m.kept.store, m.above.path = fdstore.NewClient(socket), socket
	m.keepAll()
	return nil
}

func (m *Master) push(name string, fd int) {
	if m.survives() && fd >= 0 {
		m.noteStore(m.kept.store.Push(name, fd))
		if m.kept.giving {
			carriedOut("Keep{" + name + "}")
		}
	}
}

func (m *Master) unkeep(name string) {
	if m.survives() {
		m.noteStore(m.kept.store.Remove(name))
	}
}

// noteStore warns once: the next store is told everything anew.
func (m *Master) noteStore(err error) {
	if err != nil && !m.kept.failed {
		m.kept.failed = true
		m.log.Warn("nobody keeps the workers' descriptors now", keyError, err)
	}
}

func (m *Master) keepListener(l *listener) {
	m.kept.boxed = false
	if l.closed || !m.survives() {
		return
	}
	for i := range l.sockets {
		m.keepSocket(l, i)
	}
	if l.steering != nil {
		slots, buckets := l.steering.FDs()
		m.push(nameMap(l.index, "slots"), slots)
		m.push(nameMap(l.index, "buckets"), buckets)
	}
}

func (m *Master) keepSocket(l *listener, i int) {
	m.kept.boxed = false
	m.push(nameSocket(l.index, i), l.sockets[i].FD())
}

// unkeepListener forgets a listener whose sockets are closed.
func (m *Master) unkeepListener(l *listener) {
	m.kept.boxed = false
	for i := range l.sockets {
		m.unkeep(nameSocket(l.index, i))
	}
	if !l.shared { // there may be none; its steering may have been lost
		m.unkeep(nameMap(l.index, "slots"))
		m.unkeep(nameMap(l.index, "buckets"))
	}
}

// unkeepAll forgets everything, at the end of the app: the state first, so that nobody goes on with a part of the rest.
func (m *Master) unkeepAll() {
	names := append(m.kept.names[:], m.kept.stale...)
	for _, name := range append(names, nameLock, nameControl, nameBox) {
		if name != "" && !m.kept.failed {
			m.unkeep(name)
		}
	}
	for _, l := range m.listeners {
		if !l.closed && !m.kept.failed {
			m.unkeepListener(l)
		}
	}
}

func nameSocket(listener, i int) string                    { return fmt.Sprintf("l%d.%d", listener, i) }
func nameMap(listener int, which string) string            { return fmt.Sprintf("m%d.%s", listener, which) }
func nameWorker(id lifecycle.WorkerID, part string) string { return fmt.Sprintf("w%d.%s", id, part) }

// nameProcess carries what is needed to take the process over.
func nameProcess(id lifecycle.WorkerID, h proc.Handle) string {
	return nameWorker(id, partProcess) + "." + strconv.Itoa(h.PID) + "." + h.Token
}

// parts are the descriptors of a worker by their names.
func (w *worker) parts() map[string]int {
	parts := map[string]int{nameProcess(w.id, w.handle): -1}
	if w.process != nil {
		parts[nameProcess(w.id, w.handle)] = w.process.PIDFD()
	}
	if w.conn != nil {
		parts[nameWorker(w.id, partChannel)] = w.conn.FD()
	}
	if w.notify != nil {
		parts[nameWorker(w.id, partNotify)] = w.notify.FD()
	}
	return parts
}

// keepWorker gives the store a worker's descriptors. Those of the streams must not have been given to their pumps yet, or are asked of these.
func (m *Master) keepWorker(w *worker) {
	if !m.survives() || w.process == nil {
		return
	}
	for name, fd := range w.parts() {
		m.push(name, fd)
	}
	streams := [2]*logs.Reader{w.stdout, w.stderr}
	if streams[0] == nil && streams[1] == nil {
		streams = w.output
	}
	for i, part := range []string{partStdout, partStderr} {
		m.pushFile(nameWorker(w.id, part), streams[i])
	}
}

func (m *Master) pushFile(name string, f *logs.Reader) {
	withFD(f, func(fd int) { m.push(name, fd) })
}

// withFD calls do with the descriptor, unless it is closed.
func withFD(f *logs.Reader, do func(fd int)) {
	if f == nil {
		return
	}
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // fails only where it is closed
	}
}

// unkeepWorker forgets a worker that has ended.
func (m *Master) unkeepWorker(w *worker) {
	if !m.survives() || w.handle.PID == 0 {
		return
	}
	m.unkeep(nameProcess(w.id, w.handle))
	for _, part := range []string{partChannel, partNotify, partStdout, partStderr} {
		m.unkeep(nameWorker(w.id, part))
	}
}

// persist writes the state down for a successor. It is called before effects are carried out, so that a successor knows of each that may have
// been, and when the loop has nothing to do. Nothing is written where nothing has changed.
func (m *Master) persist() {
	if !m.survives() {
		return
	}
	m.fillBox()
	text, err := marshalSnapshot(m.liveSnapshot())
	if err == nil {
		err = m.kept.pages.Write(text)
	}
	if err != nil {
		m.log.Error("state not kept", keyError, err)
	}
}

// persistIdle does so when the loop has nothing to do. A state that takes long to write, as that of many workers, is not written each time that
// one of them moves: what was decided is in it, and what has become of it can be seen.
func (m *Master) persistIdle() {
	begin := time.Now()
	if m.kept.late = begin.Before(m.kept.restUntil); m.kept.late || !m.survives() {
		return
	}
	m.persist()
	if took := time.Since(begin); took > longPersist {
		m.kept.restUntil = begin.Add(min(restAfterPersist*took, restAtMost))
	}
}

const (
	longPersist      = time.Millisecond
	restAfterPersist = 20 // times as long as it took
	restAtMost       = 250 * time.Millisecond
)

// liveSnapshot is a snapshot of a master that goes on. Its descriptors are told by their names in the store.
func (m *Master) liveSnapshot() *snapshot {
	s := m.snapshotHead()
	for _, k := range m.state.Workers {
		if w := m.workers[k.ID]; w != nil {
			s.Workers = append(s.Workers, m.saveLive(w))
		}
	}
	for _, l := range m.listeners {
		s.Listeners = append(s.Listeners, l.save())
	}
	return s
}

func (m *Master) saveLive(w *worker) savedWorker {
	s := savedWorker{Channel: -1, Notify: -1, Output: [2]int{-1, -1}}
	m.saveCommon(w, &s)
	s.Tail = nil
	if w.process == nil {
		s.Process = proc.Handle{PIDFD: -1}
	}
	if w.conn != nil {
		s.Business = w.conn.Live()
	}
	return s
}

// given are the descriptors that a successor was given, by name; each is taken once.
type given map[string][]int

// take returns a descriptor of that name; -1 if there is none.
func (g given) take(name string) int {
	fds := g[name]
	if len(fds) == 0 {
		return -1
	}
	g[name] = fds[1:]
	return fds[0]
}

// closeRest closes what nobody has taken.
func (g given) closeRest() {
	for _, fds := range g {
		for _, fd := range fds {
			closeFD(fd)
		}
	}
}

// pages are the state's.
func (g given) pages() []int {
	var fds []int
	for name, all := range g {
		if strings.HasPrefix(name, nameState) {
			fds = append(fds, all...)
		}
	}
	return fds
}

// processes are the workers' processes, by the number of the worker.
func (g given) processes() map[lifecycle.WorkerID]proc.Handle {
	all := map[lifecycle.WorkerID]proc.Handle{}
	for name, fds := range g {
		words := strings.Split(name, ".")
		if len(words) != 4 || words[0][0] != 'w' || words[1] != partProcess || len(fds) == 0 {
			continue
		}
		id, err := strconv.ParseUint(words[0][1:], 10, 64)
		pid, err2 := strconv.Atoi(words[2])
		if err == nil && err2 == nil {
			all[lifecycle.WorkerID(id)] = proc.Handle{PID: pid, PIDFD: g.take(name), Token: words[3]}
		}
	}
	return all
}

// HasState tells whether descriptors of these names are a former master's.
func HasState(names []string) bool {
	for _, name := range names {
		if strings.HasPrefix(name, nameState) {
			return true
		}
	}
	return false
}
