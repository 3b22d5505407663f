package apiserver

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/secret"
)

// writeWithin is how long a client may take for an event.
const writeWithin = 10 * time.Second

// Stream writes a line of JSON per event, first what stands in first, until the client goes or is too slow, or the channel is closed. Secrets
// are masked, unless the request asks for them.
func Stream[E any](out http.ResponseWriter, r *http.Request, first []E, events <-chan E) {
	out.Header().Set("Content-Type", "application/x-ndjson")
	control, lines, reveal := http.NewResponseController(out), json.NewEncoder(out), Wants(r, api.WithSecrets)
	write := func(events ...E) bool {
		_ = control.SetWriteDeadline(time.Now().Add(writeWithin))
		for _, e := range events {
			if !reveal {
				e = secret.Masked(e)
			}
			if lines.Encode(e) != nil {
				return false
			}
		}
		return control.Flush() == nil
	}
	for more := write(first...); more; {
		select {
		case e, open := <-events:
			more = open && write(e)
		case <-r.Context().Done():
			return
		}
	}
}
