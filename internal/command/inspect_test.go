package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindInspect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line, options string
		want                *Inspect
	}{
		{"not asked", "node server.js --inspect", "", nil},
		{"default port", "node --inspect server.js", "", &Inspect{At: 2, Port: 9229}},
		{"port", "node --inspect=9300 server.js", "", &Inspect{At: 2, Port: 9300}},
		{"host and port", "node --inspect-brk=127.0.0.1:9301 -r ./a.js server.js x", "", &Inspect{At: 4, Port: 9301}},
		{"host of v6", "node --inspect=[::1]:9302 server.js", "", &Inspect{At: 2, Port: 9302}},
		{"host alone", "node --inspect=localhost server.js", "", &Inspect{At: 2, Port: 9229}},
		{"port beside", "node --inspect --inspect-port=9400 server.js", "", &Inspect{At: 3, Port: 9400}},
		{"port alone", "node --inspect-port=9400 server.js", "", nil},
		{"the kernel picks", "node --inspect=0 server.js", "", nil},
		{"by NODE_OPTIONS", "node server.js", "--inspect=9500 --no-warnings", &Inspect{At: 1, Port: 9500}},
		{"behind dashes", "node --inspect -- server.js", "", &Inspect{At: 2, Port: 9229}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, FindInspect(strings.Fields(tt.line), tt.options)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
