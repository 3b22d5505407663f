package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"10s", 10 * time.Second, "10s"},
		{"500", 500 * time.Millisecond, "500ms"},
		{"5000", 5 * time.Second, "5s"},
		{"1m", time.Minute, "1m"},
		{"90m", 90 * time.Minute, "1h30m"},
		{"1h", time.Hour, "1h"},
		{"1h1s", time.Hour + time.Second, "1h0m1s"},
		{" 2s ", 2 * time.Second, "2s"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			var d app.Duration
			if err := d.Set(test.in); err != nil {
				t.Fatal(err)
			}
			if d.Duration() != test.want || d.String() != test.out {
				t.Errorf("got %v, printed %q", d.Duration(), d)
			}
		})
	}
}

func TestDurationErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, message, hint string }{
		{"", "is not a duration", "write a number with a unit"},
		{"soon", `"soon": is not a duration`, "write a number with a unit"},
		{"10 s", "is not a duration", "write a number with a unit"},
		{"99999999999999999", "is not a duration", "write a number with a unit"},
		{"0", "must be longer than zero", "1ms"},
		{"-5s", `"-5s": must be longer than zero`, "1ms"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			_, err := app.ParseDuration(test.in)
			checkError(t, err, test.message, test.hint)
		})
	}
}

func TestDurationInDocuments(t *testing.T) {
	t.Parallel()
	type document struct {
		D app.Duration `json:"d" yaml:"d"`
	}
	tests := []struct {
		name, json, yaml string
		want             time.Duration
	}{
		{"text", `{"d":"1m30s"}`, "d: 1m30s", 90 * time.Second},
		{"milliseconds", `{"d":1500}`, "d: 1500", 1500 * time.Millisecond},
		{"not given", `{"d":""}`, `d: ""`, 0},
		{"null", `{"d":null}`, `d: null`, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var j, y, back document
			if err := json.Unmarshal([]byte(test.json), &j); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(test.yaml), &y); err != nil {
				t.Fatal(err)
			}
			if j.D.Duration() != test.want || y.D.Duration() != test.want {
				t.Errorf("json %v, yaml %v, want %v", j.D, y.D, test.want)
			}
			text, err := json.Marshal(j)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &back); err != nil || back != j {
				t.Errorf("%s came back as %v, %v", text, back, err)
			}
		})
	}
	for _, bad := range []string{`{"d":0}`, `{"d":"x"}`, `{"d":true}`, `{"d":1.5}`} {
		var d document
		checkError(t, json.Unmarshal([]byte(bad), &d), "", "1")
	}
}
