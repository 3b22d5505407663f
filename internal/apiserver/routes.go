package apiserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/envfile"
	"github.com/musterd/muster/internal/secret"
)

// Access says who may use a method of an API.
type Access int

const (
	Anyone Access = iota // who can reach the socket
	Owner                // the user who runs this process, and root
)

// Route is a method of an API that T answers. What Handle returns is written as JSON, nil as nothing: then it has written by itself. An
// error that is no *api.Error is an internal one.
type Route[T any] struct {
	Method string
	Path   string // as http.ServeMux has it
	Access Access
	Handle func(T, http.ResponseWriter, *http.Request) (answer any, err error)
}

// On is the route of a method and a path.
func On[T any](method, path string, access Access, handle func(T, http.ResponseWriter, *http.Request) (any, error)) Route[T] {
	return Route[T]{Method: method, Path: path, Access: access, Handle: handle}
}

// MaxRequest bounds the body of a request, in bytes.
const MaxRequest = 4 << 20

// statuses are the HTTP statuses of the kinds of error.
var statuses = map[api.Kind]int{
	api.KindUsage:       http.StatusBadRequest,
	api.KindForbidden:   http.StatusForbidden,
	api.KindNotFound:    http.StatusNotFound,
	api.KindConflict:    http.StatusConflict,
	api.KindUnsupported: http.StatusNotImplemented,
	api.KindUnavailable: http.StatusServiceUnavailable,
}

// Handler returns the handler of all routes.
func Handler[T any](target T, routes []Route[T]) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, req *http.Request) { serve(target, r, w, req) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, &api.Error{Kind: api.KindNotFound, Message: "there is no " + r.Method + " " + r.URL.Path})
	})
	return mux
}

func serve[T any](target T, r Route[T], w http.ResponseWriter, req *http.Request) {
	if r.Access == Owner {
		if err := PeerOf(req.Context()).Check(); err != nil {
			writeError(w, req, err)
			return
		}
	}
	req.Body = http.MaxBytesReader(w, req.Body, MaxRequest)
	answer, err := r.Handle(target, w, req)
	switch {
	case err != nil:
		writeError(w, req, err)
	case answer != nil && r.Method == http.MethodPost:
		writeJSON(w, req, http.StatusAccepted, answer)
	case answer != nil:
		writeJSON(w, req, http.StatusOK, answer)
	}
}

// Wants tells whether a request asks for something with its parameter api.ParamWith, which may be repeated and hold several words.
func Wants(r *http.Request, word string) bool {
	return slices.ContainsFunc(r.URL.Query()[api.ParamWith], func(words string) bool { return slices.Contains(strings.Split(words, ","), word) })
}

// writeJSON writes an answer: without the secrets in it, unless the request asks for them.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	if !Wants(r, api.WithSecrets) {
		body = secret.Masked(body)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who went away misses nothing
}

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	known := ErrorOf(err)
	status, ok := statuses[known.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	writeJSON(w, r, status, api.Failure{Error: *known})
}

// ErrorOf is err as the API tells it.
func ErrorOf(err error) *api.Error {
	if known, ok := errors.AsType[*api.Error](err); ok {
		return known
	}
	return &api.Error{Kind: kindOf(err), Message: err.Error(), Hint: HintOf(err)}
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

// HintOf is what to do about err; empty if it does not know.
func HintOf(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*app.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*envfile.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[hinter](err); ok {
		return e.Hint()
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: make room there, or set MUSTER_HOME to a folder on another"
	case errors.Is(err, syscall.EROFS):
		return "nothing can be written there: set MUSTER_HOME to a folder that you may write to"
	}
	return ""
}

// Decode reads a body of JSON; none at all leaves body as it is. A field that is not known is refused: what it asks for would not be done.
func Decode(r *http.Request, body any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(body); err != nil && !errors.Is(err, io.EOF) {
		e := &api.Error{Kind: api.KindUsage, Message: "read the request: " + err.Error()}
		if strings.Contains(err.Error(), "unknown field") { // encoding/json has no type for that
			e.Hint = "a newer command may have sent it: muster daemon upgrade and muster upgrade let the daemon and the masters become the muster that is installed"
		}
		return e
	}
	return nil
}
