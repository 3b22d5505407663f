package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/fdstore"
	"github.com/musterd/muster/internal/lifecycle"
	"github.com/musterd/muster/internal/proc"
	"github.com/musterd/muster/internal/rundir"
)

// recalled is what the workers of a master have held for the next one.
type recalled struct {
	given     given
	processes map[lifecycle.WorkerID]proc.Handle // of those that live
	box       *fdstore.Box
	number    uint64 // of the youngest page in the box
	living    int
}

var (
	errNoneLives = errors.New("no worker lives")
	errNoBox     = errors.New("no worker holds it")
)

// recall takes back what the workers of a former master hold. The error tells why they cannot be gone on with.
func recall(folder *rundir.Folder) (*recalled, error) {
	r := &recalled{given: given{}, processes: map[lifecycle.WorkerID]proc.Handle{}}
	var refused error
	for _, record := range workerRecords(folder.Former()) {
		if err := r.take(record); err != nil {
			refused = err
		}
	}
	switch {
	case r.living == 0:
		r.close()
		return nil, errNoneLives
	case r.box == nil && refused != nil:
		r.close()
		return nil, refused
	case r.box == nil:
		r.close()
		return nil, errNoBox
	}
	return r, nil
}

// take takes back what one worker holds, if it lives.
func (r *recalled) take(record workerRecord) error {
	h := record.Process
	pidfd, err := h.Open()
	if err != nil {
		return nil // it has ended
	}
	h.PIDFD = pidfd
	r.processes[record.Worker] = h
	if record.Box.FD == 0 {
		r.living++
		return nil
	}
	fd, err := fdstore.Take(pidfd, record.Box.FD, record.Box.Cookie)
	if errors.Is(err, unix.ESRCH) { // it has ended, and its parent has not taken notice
		return nil
	}
	r.living++
	if err != nil {
		return fmt.Errorf("take back what worker %d holds, process %d: %w", record.Worker, h.PID, err)
	}
	defer closeFD(fd)
	content, err := fdstore.Unseal(fd)
	for _, k := range content {
		if k.Name == nameBox {
			err = r.open(k.FD)
		} else {
			r.given[k.Name] = append(r.given[k.Name], k.FD)
		}
	}
	if err != nil {
		return fmt.Errorf("look into what worker %d holds, process %d: %w", record.Worker, h.PID, err)
	}
	return nil
}

// open opens an app's box. Workers that have lived through the loss of one have another than those that were started later: the younger state
// counts.
func (r *recalled) open(fd int) error {
	box, content, err := fdstore.OpenBox(fd)
	if err != nil {
		return err
	}
	found := given{}
	for _, k := range content {
		found[k.Name] = append(found[k.Name], k.FD)
	}
	_, number, err := fdstore.ReadPages(found.pages())
	if err != nil || number <= r.number {
		box.Close()
		found.closeRest()
		return err
	}
	if r.box != nil {
		r.box.Close()
	}
	for name, fds := range found {
		for _, old := range r.given[name] {
			closeFD(old)
		}
		r.given[name] = fds
	}
	r.box, r.number = box, number
	return nil
}

func (r *recalled) close() {
	r.given.closeRest()
	closeProcesses(r.processes)
	if r.box != nil {
		r.box.Close()
	}
}

// resume makes the master that goes on with what was recalled.
func (r *recalled) resume(folder *rundir.Folder, adapt func(Config) Config) (*Master, error) {
	s, number, err := r.given.snapshot(r.processes)
	if err != nil {
		r.close()
		return nil, err
	}
	defer r.given.closeRest()
	defer closeProcesses(r.processes)
	if s.Folder, err = folder.Continue(); err != nil {
		return nil, err
	}
	return succeed(s, number, r.given, r.processes, r.box, adapt)
}

// former makes the master that goes on with the workers that a killed one of this app has left, if there are any, and if this process keeps what
// the next one needs. Where that is not possible the master is nil and why says for what reason: they are still to be ended.
func former(folder *rundir.Folder, adapt func(Config) Config) (m *Master, why error) {
	if folder.Former() == "" || !keepsOn() {
		return nil, nil
	}
	r, err := recall(folder)
	if err != nil {
		return nil, err
	}
	return r.resume(folder, adapt)
}

// formerTime bounds the wait for the end of a former master's workers, which were killed.
const formerTime = 5 * time.Second

// endFormer ends the workers of a master that was killed and cannot be gone on with: they hold the app's addresses.
func (m *Master) endFormer(why error) {
	private := m.run.Former()
	if private == "" {
		return
	}
	var ends sync.WaitGroup
	ended := 0
	for _, r := range workerRecords(private) {
		if p, lived := killRecorded(r); p != nil {
			if lived {
				ended++
			}
			ends.Go(func() { // ends with the process, which was killed
				p.Wait()
				_ = p.Close()
			})
		}
	}
	if ended > 0 {
		m.log.Error("workers of a master that was killed were ended: they could not be gone on with", keyWorkers, ended, keyError, why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), formerTime)
	defer cancel()
	go func() { // ends with them
		ends.Wait()
		cancel()
	}()
	<-ctx.Done()
	proc.KillByVariable("NOTIFY_SOCKET", private+string(filepath.Separator)) // those that were being started
	_ = os.Remove(m.run.Socket())
}

// killRecorded kills the process of a record and tells whether it lived; it is the caller's to wait for. Nil: it has gone.
func killRecorded(r workerRecord) (p *proc.Process, lived bool) {
	p, err := proc.Adopt(r.Process)
	if err != nil {
		return nil, false
	}
	lived = !p.Ended()
	_ = p.SignalGroup(unix.SIGKILL)
	return p, lived
}
