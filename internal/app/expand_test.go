package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
)

var vars = app.Vars{Slot: 7, Listeners: []app.ListenerVars{
	{Name: "web", FD: 3, Port: 3000}, {Name: "tcp-80", FD: 4, Port: 80}, {Name: "sock", FD: 5},
}}

func TestExpand(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"{fd}", "3"},
		{"fd://{fd}", "fd://3"},
		{"{fd.tcp-80},{fd.web}", "4,3"},
		{"{port}:{port.tcp-80}", "3000:80"},
		{"{slot}", "7"},
		{"{slot+3000} {slot+0} {{slot+1}} {slot-1} {slot+} {slot+9999999999}", "3007 7 {{slot+1}} {slot-1} {slot+} {slot+9999999999}"},
		{"{fd.sock}{slot}{slot}", "577"},
		{`{"port":{port},"slot":{slot}}`, `{"port":3000,"slot":7}`},
		{`{"a":{"b":[1]}}`, `{"a":{"b":[1]}}`},
		{"{}", "{}"},
		{"{fds}{ fd}{fd }{FD}{slot.web}{fd.}", "{fds}{ fd}{fd }{FD}{slot.web}{fd.}"},
		{"{{port}} {{.Names}} {{slot}}", "{{port}} {{.Names}} {{slot}}"},
		{"{fd", "{fd"},
		{"${slot}", "$7"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			in := []string{"program", test.in}
			got, err := app.Expand(in, vars)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"program", test.want}, got); diff != "" {
				t.Error(diff)
			}
			if app.HasPlaceholders(in) != (test.in != test.want) {
				t.Errorf("HasPlaceholders is %v", app.HasPlaceholders(in))
			}
			if in[1] != test.in {
				t.Errorf("the argument itself became %q", in[1])
			}
		})
	}
}

func TestUsesFD(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"{fd}": true, "a{fd.x}b": true, "{port}": false, "{{fd}}": false, "fd": false} {
		if got := app.UsesFD([]string{in}); got != want {
			t.Errorf("%q: got %v", in, got)
		}
	}
}

func TestExpandErrors(t *testing.T) {
	t.Parallel()
	none := app.Vars{}
	noFD := app.Vars{Listeners: []app.ListenerVars{{Name: "web", FD: -1, Port: 80}}}
	tests := []struct {
		in            string
		vars          app.Vars
		message, hint string
	}{
		{"x{fd.nope}", vars, `command "{fd.nope}": no listener has that name`, "the names are web, tcp-80, sock"},
		{"{port.sock}", vars, `command "{port.sock}": the listener sock has no port`, ""},
		{"{fd}", none, `command "{fd}": the app has no listener`, "--listen"},
		{"{port.web}", none, `the app has no listener`, "--listen"},
		{"{fd.web}", noFD, `command "{fd.web}": the worker inherits no descriptor`, "--handoff inherit"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			_, err := app.Expand([]string{test.in}, test.vars)
			checkError(t, err, test.message, test.hint)
		})
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"{fd}", "{{fd}}", "{port.web}", `{"a":{slot}}`, "{{{fd}}}", "{fd.{slot}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		args := []string{text}
		got, err := app.Expand(args, vars)
		switch {
		case err != nil:
			checkError(t, err, "", hintOf(err))
		case !app.HasPlaceholders(args) && got[0] != text:
			t.Errorf("%q has no placeholder and became %q", text, got[0])
		case strings.Count(got[0], "{") > strings.Count(text, "{"):
			t.Errorf("%q became %q", text, got[0])
		}
	})
}
