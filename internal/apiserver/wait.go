package apiserver

import (
	"net/http"
	"time"

	"github.com/musterd/muster/internal/app"
)

// Wait is how long an answer may wait, by a parameter of the request; asked is false where there is no such parameter.
func Wait(r *http.Request, param string) (wait time.Duration, asked bool, err error) {
	text := r.URL.Query().Get(param)
	if text == "" {
		return 0, false, nil
	}
	d, err := app.ParseDuration(text)
	return d.Duration(), true, err
}
