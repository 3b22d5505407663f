package master

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/logs"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/stage"
)

// The store may be killed together with the master. So each worker holds what the next master needs as well, in one descriptor behind its own,
// of which it knows nothing: a box that holds the far ends of its channel and its pipes, and the app's box, which is one and the same for all
// workers and can be changed: the listening sockets and the state. A file in the private folder tells where the descriptor is.
//
//	worker ── fd n ──► its box:  w7.channel, w7.stdout, w7.stderr
//	                             box ──► the app's: state.N.0, state.N.1, l1.0, l1.1, …
//
// The notify socket is not among them. A worker that sends to it while nobody reads is refused; it would block otherwise.
const nameBox = "box"

// openBox makes the app's box, if a former master has not left it.
func (m *Master) openBox() {
	if m.kept.box != nil {
		return
	}
	box, err := fdstore.NewBox()
	if err != nil {
		m.noteBox(err)
		return
	}
	m.kept.box = box
}

// restoreBox goes on with the box that has come through an execve.
func (m *Master) restoreBox(ends *[2]int) {
	if ends == nil {
		return
	}
	box, err := fdstore.ResumeBox(*ends)
	if err != nil {
		m.noteBox(err)
		return
	}
	m.kept.box = box
}

// noteBox warns once.
func (m *Master) noteBox(err error) {
	if err != nil && !m.kept.boxFailed {
		m.kept.boxFailed = true
		m.log.Warn("workers hold nothing for the next master: they are lost if the master is killed together with who keeps its descriptors", keyError, err)
	}
}

// fillBox brings the app's box up to date.
func (m *Master) fillBox() {
	if m.kept.boxed || m.kept.box == nil {
		return
	}
	var all []fdstore.Kept
	for i, fd := range m.kept.pages.FDs() {
		all = append(all, fdstore.Kept{Name: m.kept.names[i], FD: fd})
	}
	for _, l := range m.listeners {
		if l.closed {
			continue
		}
		for i, s := range l.sockets {
			all = append(all, fdstore.Kept{Name: nameSocket(l.index, i), FD: s.FD()})
		}
		if l.steering != nil {
			slots, buckets := l.steering.FDs()
			all = append(all, fdstore.Kept{Name: nameMap(l.index, "slots"), FD: slots}, fdstore.Kept{Name: nameMap(l.index, "buckets"), FD: buckets})
		}
	}
	m.kept.boxed = true
	m.noteBox(m.kept.box.Set(all))
}

// giveBox makes the box of a worker that is about to be started, behind its other descriptors.
func (m *Master) giveBox(w *worker, p *launchPlan) {
	if !m.survives() || m.kept.box == nil {
		return
	}
	m.fillBox()
	fd, err := fdstore.Seal(m.boxOf(w))
	if err != nil {
		m.noteBox(err)
		return
	}
	if w.box.Cookie, err = fdstore.Cookie(fd); err != nil {
		m.noteBox(err)
		closeFD(fd)
		return
	}
	p.fds, p.spec.Files = append(p.fds, fd), append(p.spec.Files, fd)
	w.box.FD = stage.FirstFD + len(p.spec.Files) - 1
}

func (m *Master) boxOf(w *worker) []fdstore.Kept {
	all := []fdstore.Kept{{Name: nameBox, FD: m.kept.box.FD()}}
	if w.conn != nil {
		all = append(all, fdstore.Kept{Name: nameWorker(w.id, partChannel), FD: w.conn.FD()})
	}
	for part, r := range map[string]*logs.Reader{partStdout: w.stdout, partStderr: w.stderr} {
		withFD(r, func(fd int) { all = append(all, fdstore.Kept{Name: nameWorker(w.id, part), FD: fd}) })
	}
	return all
}

// boxPlace is where a worker's box is.
type boxPlace struct {
	FD     int    `json:"fd"` // its number in the worker; zero: it has none
	Cookie uint64 `json:"cookie"`
}

// workerRecord is what a file in the private folder says of a worker, for a master that has nothing else.
type workerRecord struct {
	Worker  lifecycle.WorkerID `json:"worker"`
	Process proc.Handle        `json:"process"`
	Box     boxPlace           `json:"box"`
}

const workerPrefix = "w"

func workerFile(private string, id lifecycle.WorkerID) string {
	return filepath.Join(private, workerPrefix+strconv.FormatUint(uint64(id), 10))
}

// recorder writes the file of a worker as soon as there is its process, and before that becomes the program.
func (m *Master) recorder(w *worker) func(proc.Handle) {
	if !m.survives() {
		return nil
	}
	id, box, path := w.id, w.box, workerFile(m.run.Private(), w.id)
	return func(h proc.Handle) {
		if err := writeRecord(path, workerRecord{Worker: id, Process: h, Box: box}); err != nil {
			m.post(func() { m.noteBox(err) })
		}
	}
}

func writeRecord(path string, r workerRecord) error {
	r.Process.PIDFD = -1
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (m *Master) unrecordWorker(id lifecycle.WorkerID) {
	if m.survives() {
		_ = os.Remove(workerFile(m.run.Private(), id))
	}
}

// workerRecords are those of a private folder. A file that cannot be read was being written.
func workerRecords(private string) []workerRecord {
	paths, _ := filepath.Glob(filepath.Join(private, workerPrefix+"*[0-9]"))
	var all []workerRecord
	for _, path := range paths {
		var r workerRecord
		text, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(text, &r) == nil && r.Process.PID > 0 {
			all = append(all, r)
		}
	}
	return all
}
