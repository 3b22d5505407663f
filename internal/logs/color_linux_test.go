package logs

import (
	"os"
	"testing"
)

func TestColoredOnTerminal(t *testing.T) {
	t.Parallel()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminal:", err)
	}
	defer tty.Close()
	tests := []struct {
		name  string
		color Color
		env   map[string]string
		want  bool
	}{
		{name: "auto", want: true},
		{name: "NO_COLOR", env: map[string]string{"NO_COLOR": "1"}},
		{name: "dumb", env: map[string]string{"TERM": "dumb"}},
		{name: "never", color: ColorNever},
		{name: "always", color: ColorAlways, env: map[string]string{"NO_COLOR": "1"}, want: true},
	}
	sink := NewSink(tty, Options{})
	for _, tt := range tests {
		getenv := func(key string) string { return tt.env[key] }
		o := Options{Color: tt.color}
		if o.colored(tty, getenv) != tt.want || o.colored(sink, getenv) != tt.want {
			t.Errorf("%s: not %v", tt.name, tt.want)
		}
	}
}
