package master

import (
	"net/http"
	"strconv"
	"time"

	"github.com/musterd/muster/api"
)

// logWithin is how long a client may take to take some lines.
const logWithin = 10 * time.Second

// getLogs answers with the lines that went to the standard streams, in the form of a log file.
func (m *Master) getLogs(out http.ResponseWriter, r *http.Request) (any, error) {
	if files := m.output.Files(); len(files) > 0 {
		return nil, &api.Error{Kind: api.KindConflict, Message: "the app has log files", Hint: "read " + files[0]}
	}
	position := int64(-1)
	if text := r.URL.Query().Get(api.ParamSince); text != "" {
		var err error
		if position, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, &api.Error{Kind: api.KindUsage, Message: strconv.Quote(text) + " is no position"}
		}
	}
	follow := r.URL.Query().Get(api.ParamFollow) == "true"
	history := m.output.History()
	_, ended := history.Changed(position)
	lines, next := history.Since(position)
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out.Header().Set(api.HeaderPosition, strconv.FormatInt(next, 10))
	control := http.NewResponseController(out)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(logWithin))
		if _, err := out.Write(lines); err != nil || control.Flush() != nil || !follow {
			return nil, nil
		}
		changed, _ := history.Changed(next)
		select {
		case <-changed:
		case <-ended:
			return nil, nil
		case <-r.Context().Done():
			return nil, nil
		}
		lines, next = history.Since(next)
	}
}
