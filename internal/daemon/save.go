package daemon

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
)

func (d *Daemon) dumpPath() string { return filepath.Join(d.state, dumpFile) }

// postSave writes down which apps run, for resurrect.
func (d *Daemon) postSave(_ http.ResponseWriter, r *http.Request) (any, error) {
	answer := api.SaveAnswer{File: d.dumpPath(), Names: []string{}}
	saved := dump{Version: fileVersion, Apps: []record{}}
	for _, k := range d.all() {
		rec, err := ask(r.Context(), k, func() (record, error) { return k.record, nil })
		if err != nil {
			continue // it has just been forgotten
		}
		if !rec.Wanted {
			answer.Skipped = append(answer.Skipped, k.id)
			continue
		}
		rec.Version, rec.Why, rec.Hint, rec.Masters, rec.Failed = fileVersion, "", "", 0, false
		saved.Apps = append(saved.Apps, rec)
		answer.Names = append(answer.Names, k.id)
	}
	if err := d.keepUnreadable(); err != nil {
		return nil, &api.Error{Kind: api.KindInternal, Message: "save: " + err.Error(), Hint: "the file cannot be read; move it away"}
	}
	if err := writeFile(d.dumpPath(), saved); err != nil {
		return nil, &api.Error{Kind: api.KindInternal, Message: "save: " + err.Error(), Hint: "the last save stays as it is"}
	}
	return answer, nil
}

// deleteSave forgets what was saved. A file that cannot be read is forgotten, too.
func (d *Daemon) deleteSave(http.ResponseWriter, *http.Request) (any, error) {
	answer := api.SaveAnswer{File: d.dumpPath(), Names: []string{}}
	var saved dump
	if err := readFile(d.dumpPath(), &saved, func() int { return saved.Version }); errors.Is(err, os.ErrNotExist) {
		return answer, nil
	}
	for _, rec := range saved.Apps {
		answer.Names = append(answer.Names, rec.Launch.Spec.Name)
	}
	if err := os.Remove(d.dumpPath()); err != nil {
		return nil, &api.Error{Kind: api.KindInternal, Message: "forget what was saved: " + err.Error()}
	}
	return answer, nil
}

// keepUnreadable puts the last save aside if it cannot be read: somebody may yet make sense of it.
func (d *Daemon) keepUnreadable() error {
	var last dump
	err := readFile(d.dumpPath(), &last, func() int { return last.Version })
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	d.log.Error("the last save cannot be read", "error", err, "kept", aside(d.dumpPath()))
	return os.Rename(d.dumpPath(), aside(d.dumpPath()))
}

func (d *Daemon) postResurrect(_ http.ResponseWriter, r *http.Request) (any, error) {
	return answered(d.resurrect(r.Context()))
}

// resurrect starts what was saved and does not run, all at once.
func (d *Daemon) resurrect(context.Context) (api.SaveAnswer, error) {
	answer := api.SaveAnswer{File: d.dumpPath(), Names: []string{}}
	var saved dump
	err := readFile(d.dumpPath(), &saved, func() int { return saved.Version })
	if errors.Is(err, os.ErrNotExist) {
		return answer, &api.Error{Kind: api.KindNotFound, Message: "nothing was saved", Hint: "start apps, then: muster save"}
	}
	if err != nil {
		return answer, &api.Error{Kind: api.KindInternal, Message: "resurrect: " + err.Error(), Hint: "the file stays as it is. Mend it; or start the apps by hand, then: muster save, which puts it aside"}
	}
	type outcome struct {
		name    string
		skipped bool
		err     error
	}
	outcomes := make(chan outcome, len(saved.Apps))
	for _, rec := range saved.Apps {
		go func() { // ends with the start
			skipped, err := d.bringBack(rec)
			outcomes <- outcome{rec.Launch.Spec.Name, skipped, err}
		}()
	}
	for range saved.Apps {
		switch o := <-outcomes; {
		case o.err != nil:
			answer.Failed = append(answer.Failed, o.name+": "+o.err.Error())
		case o.skipped:
			answer.Skipped = append(answer.Skipped, o.name)
		default:
			answer.Names = append(answer.Names, o.name)
		}
	}
	return answer, nil
}

// bringBack starts an app as it was saved, unless it runs. One that cannot start now is tried again later: what it needs may come.
func (d *Daemon) bringBack(rec record) (skipped bool, err error) {
	if err := checkName(rec.Launch); err != nil {
		return false, err
	}
	k, _ := d.keeperFor(rec.Launch.Spec.Name)
	answer, failed := make(chan api.StartAnswer, 1), make(chan error, 1)
	k.do(d.ctx, func() {
		if k.master != nil || k.state == api.EntryStarting || k.state == api.EntryHeld {
			skipped = true
			return
		}
		k.record.Launch, k.record.Scaled = rec.Launch, rec.Scaled
		k.waiters, k.failed = append(k.waiters, answer), append(k.failed, failed)
		k.want()
	})
	if skipped {
		return true, nil
	}
	select {
	case <-answer:
		return false, nil
	case err := <-failed:
		k.do(d.ctx, func() {
			if k.state == api.EntryFailed {
				k.record.Wanted = true
				told := apiserver.ErrorOf(err)
				k.pause(told.Message, told.Hint)
				k.save()
			}
		})
		return false, err
	case <-k.ended:
		return false, errEnding
	}
}
