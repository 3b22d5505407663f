package master

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/envfile"
)

// access says who may use a method of the API.
type access int

const (
	anyone access = iota // who can reach the socket
	owner                // the user who runs the master, and root
)

// route is a method of the API. What a handler returns is written as JSON; an error that is no *api.Error is an internal one.
type route struct {
	method string
	path   string
	access access
	handle func(*Master, http.ResponseWriter, *http.Request) (answer any, err error)
}

// routes are the API.
var routes = []route{
	{http.MethodGet, api.PathHealth, anyone, (*Master).getHealth},
	{http.MethodGet, api.PathReady, anyone, (*Master).getReady},
	{http.MethodGet, api.PathApp, owner, (*Master).getApp},
	{http.MethodGet, api.PathEvents, owner, (*Master).getEvents},
	{http.MethodGet, api.PathOperation, owner, (*Master).getOperation},
	{http.MethodPost, api.PathReload, owner, (*Master).postReload},
	{http.MethodPost, api.PathRollback, owner, (*Master).postRollback},
	{http.MethodPost, api.PathScale, owner, (*Master).postScale},
	{http.MethodPost, api.PathStop, owner, (*Master).postStop},
	{http.MethodPost, api.PathUpgrade, owner, (*Master).postUpgrade},
}

// statuses are the HTTP statuses of the kinds of error.
var statuses = map[api.Kind]int{
	api.KindUsage:       http.StatusBadRequest,
	api.KindForbidden:   http.StatusForbidden,
	api.KindNotFound:    http.StatusNotFound,
	api.KindConflict:    http.StatusConflict,
	api.KindUnsupported: http.StatusNotImplemented,
	api.KindUnavailable: http.StatusServiceUnavailable,
}

// api returns the handler of all routes.
func (m *Master) api() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { m.serve(r, w, req) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &api.Error{Kind: api.KindNotFound, Message: "there is no " + r.Method + " " + r.URL.Path})
	})
	return mux
}

func (m *Master) serve(r route, w http.ResponseWriter, req *http.Request) {
	if r.access == owner {
		if err := peerOf(req.Context()).check(); err != nil {
			writeError(w, err)
			return
		}
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxRequest)
	answer, err := r.handle(m, w, req)
	switch {
	case err != nil:
		writeError(w, err)
	case answer != nil && r.method == http.MethodPost:
		writeJSON(w, http.StatusAccepted, answer)
	case answer != nil:
		writeJSON(w, http.StatusOK, answer)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who went away misses nothing
}

func writeError(w http.ResponseWriter, err error) {
	known, ok := errors.AsType[*api.Error](err)
	if !ok {
		known = &api.Error{Kind: kindOf(err), Message: err.Error(), Hint: hintOf(err)}
	}
	status, ok := statuses[known.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, api.Failure{Error: *known})
}

func kindOf(err error) api.Kind {
	if _, ok := errors.AsType[*app.Error](err); ok {
		return api.KindUsage
	}
	return api.KindInternal
}

// hinter is an error that knows what to do about it.
type hinter interface {
	error
	Hint() string
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*app.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*envfile.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[hinter](err); ok {
		return e.Hint()
	}
	return ""
}
