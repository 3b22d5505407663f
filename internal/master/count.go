package master

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/lifecycle"
)

// A worker is told after how many connections it is to be recycled, and says once that it has accepted so many: one on the SDK on its notify
// socket, a Node program on its channel, by a script that is loaded before it.
const (
	maxRequestsVariable = "MUSTER_MAX_REQUESTS"
	connectionsField    = "X_MUSTER_CONNECTIONS="
	optionsVariable     = "NODE_OPTIONS"
	countFile           = "muster-count.cjs" // the script knows its name
)

//go:embed count.cjs
var countScript []byte

// requestsOf is the number of connections after which w is to be recycled; zero: none.
func (m *Master) requestsOf(w *worker) int64 {
	limit := int64(m.of(w).App.MaxRequests)
	if k := m.state.Worker(w.id); k != nil {
		return k.Limit(limit)
	}
	return limit
}

// letCount has w count its connections, where there is a limit on them, and lets Node open its inspector where nobody else finds it.
func (m *Master) letCount(w *worker, env []string) ([]string, error) {
	limit := m.requestsOf(w)
	if limit > 0 {
		env = setenv(env, maxRequestsVariable, strconv.FormatInt(limit, 10))
	}
	if m.of(w).Kind != KindNode || limit == 0 && !m.inspects(w) {
		return env, nil
	}
	script, err := m.countScript()
	if err != nil {
		return nil, err
	}
	return setenv(env, optionsVariable, countOptions(script, getenv(env, optionsVariable), m.of(w).Argv, m.inspects(w))), nil
}

// countScript is the path of the script, which is there for as long as the master.
func (m *Master) countScript() (string, error) {
	path := filepath.Join(m.run.Private(), countFile)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(path, countScript, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("write the script that counts connections: %w", err)
	}
	return path, nil
}

// countOptions puts the script before what the user wants Node to load. A program under Node's permission model must be allowed to read it.
func countOptions(script, options string, argv []string, inspects bool) string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(script) + `"`
	words := []string{"--require", quoted, options}
	asked := append(strings.Fields(options), argv...)
	if slices.Contains(asked, "--permission") || slices.Contains(asked, "--experimental-permission") {
		words = append([]string{"--allow-fs-read=" + quoted}, words...)
		inspects = false // which the permission model forbids
	}
	if inspects && !slices.ContainsFunc(asked, func(word string) bool { return strings.HasPrefix(word, "--inspect") }) {
		words = append([]string{inspectOptions}, words...)
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// counted is told what a worker says on its notify socket beyond systemd's words.
func (m *Master) counted(w *worker, lines []string) {
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, connectionsField)
		if n, err := strconv.ParseInt(text, 10, 64); ok && err == nil {
			m.accepted(w, n)
		}
	}
}

// accepted is told how many connections a worker has accepted.
func (m *Master) accepted(w *worker, n int64) {
	limit := m.of(w).App.MaxRequests
	if limit == 0 || n < m.requestsOf(w) {
		return
	}
	m.step(lifecycle.Recycle{
		Worker: w.id, Why: fmt.Sprintf("has accepted %d connections (the limit is %d, for each worker up to 10%% more or less)", n, limit),
	})
}
