package master

import (
	"net/http"
	"strconv"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
)

// alive is the answer of the endpoints for load balancers and supervisors.
type alive struct {
	Status string `json:"status"`
}

func (m *Master) getHealth(_ http.ResponseWriter, r *http.Request) (any, error) {
	_, err := ask(r.Context(), m, func() bool { return true })
	return alive{"ok"}, err
}

func (m *Master) getReady(_ http.ResponseWriter, r *http.Request) (any, error) {
	ready, err := ask(r.Context(), m, m.isReady)
	if err == nil && !ready {
		err = &api.Error{Kind: api.KindUnavailable, Message: "no worker serves, or the app is being stopped"}
	}
	return alive{"ready"}, err
}

func (m *Master) getApp(_ http.ResponseWriter, r *http.Request) (any, error) {
	a, err := ask(r.Context(), m, m.describeApp)
	if err != nil || r.URL.Query().Get("usage") == "no" {
		return a, err
	}
	return m.usage.Fill(time.Now(), []api.App{a})[0], nil // outside of the loop: it reads what there is of every process
}

func (m *Master) getLaunch(_ http.ResponseWriter, r *http.Request) (any, error) {
	return ask(r.Context(), m, func() api.Launch {
		return api.Launch{Spec: m.cfg.Spec, Base: m.cfg.Base, FileForm: m.cfg.FileForm, Env: m.cfg.HostEnv}
	})
}

func (m *Master) getOperation(_ http.ResponseWriter, r *http.Request) (any, error) {
	wait, _, err := apiserver.Wait(r, api.ParamWait)
	if err != nil {
		return nil, err
	}
	id, _ := strconv.ParseUint(r.PathValue("id"), 10, 64) // there is no operation 0
	f, err := ask(r.Context(), m, func() following { return m.follow(id) })
	if err != nil {
		return nil, err
	}
	return m.awaitEnd(r.Context(), f, wait)
}

func (m *Master) postReload(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.ReloadRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	current, err := ask(r.Context(), m, func() Config { return m.cfg })
	if err != nil {
		return nil, err
	}
	if l := body.Launch; l != nil {
		current.Spec, current.Base, current.FileForm, current.HostEnv = l.Spec, l.Base, l.FileForm, l.Env
	}
	cfg, unresolved := resolve(current)
	return ask(r.Context(), m, func() api.Operation { return *m.roll(api.OperationReload, cfg, unresolved) })
}

func (m *Master) postRollback(_ http.ResponseWriter, r *http.Request) (any, error) {
	return asked(ask(r.Context(), m, func() outcome { return m.rollback() }))
}

func (m *Master) postScale(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.ScaleRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	return asked(ask(r.Context(), m, func() outcome { return m.scaleTo(body.Workers) }))
}

func (m *Master) postStop(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.StopRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	return ask(r.Context(), m, func() api.Operation {
		m.stops++
		return *m.halt(body.Now, "a command")
	})
}

func (m *Master) postUpgrade(_ http.ResponseWriter, r *http.Request) (any, error) {
	return asked(ask(r.Context(), m, m.beginUpgrade))
}

// outcome is an operation that has begun, or why it has not.
type outcome struct {
	op  api.Operation
	err error
}

func asked(o outcome, err error) (any, error) {
	if err == nil {
		err = o.err
	}
	if err != nil {
		return nil, err
	}
	return o.op, nil
}

func (m *Master) postKeep(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body api.KeepRequest
	if err := apiserver.Decode(r, &body); err != nil {
		return nil, err
	}
	err, gone := ask(r.Context(), m, func() error { return m.keepAt(body.Socket) })
	if gone != nil {
		return nil, gone
	}
	return struct{}{}, err
}
