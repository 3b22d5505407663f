// Package demo is the worker that shows what muster does: it serves, crashes, exits and freezes on request.
package demo

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/musterd/muster"
)

// Main serves Handler on addr until the worker has drained.
func Main(addr string) error {
	return muster.ListenAndServe(addr, Handler())
}

// Handler answers
//
//	/            who it is
//	/crash       with a panic: the worker announces its death, answers 500 and exits 1
//	/exit?code=  by ending the process at once, without a word
//	/block?ms=   after the whole process was frozen for so long, see freeze
//	/slow?ms=    after so long, while other requests are served
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", greet)
	mux.HandleFunc("GET /crash", func(http.ResponseWriter, *http.Request) { panic("worker process exception!") })
	mux.HandleFunc("GET /exit", func(_ http.ResponseWriter, r *http.Request) { os.Exit(number(r, "code", 1)) })
	mux.HandleFunc("GET /block", block)
	mux.HandleFunc("GET /slow", slow)
	return mux
}

func greet(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "I am worker, pid: %d, ppid: %d (slot %d)\n", os.Getpid(), os.Getppid(), muster.Worker().Slot)
}

func block(w http.ResponseWriter, r *http.Request) {
	freeze(milliseconds(r))
	greet(w, r)
}

func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(milliseconds(r)):
		greet(w, r)
	case <-r.Context().Done():
	}
}

func milliseconds(r *http.Request) time.Duration {
	return time.Duration(number(r, "ms", 1000)) * time.Millisecond
}

func number(r *http.Request, name string, otherwise int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return otherwise
	}
	return n
}
