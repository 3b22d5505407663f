package app_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/app"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want app.Health
		err  string
	}{
		{"", app.Health{}, ""},
		{"tcp", app.Health{Kind: app.HealthTCP}, ""},
		{"http:/", app.Health{Kind: app.HealthHTTP, Path: "/"}, ""},
		{"http:/health?deep=1", app.Health{Kind: app.HealthHTTP, Path: "/health?deep=1"}, ""},
		{"http://127.0.0.1/x", app.Health{}, "has no path"},
		{"http", app.Health{}, "has no path"},
		{"http:/a b", app.Health{}, "holds a blank"},
		{"ping", app.Health{}, "is not known"},
		{"tcp:/x", app.Health{}, "is not known"},
	}
	for _, test := range tests {
		got, err := app.ParseHealth(test.text)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q: %+v, %v", test.text, got, err)
		}
		if e, ok := errors.AsType[*app.Error](err); err != nil && (!ok || e.Field != "health" || e.Hint == "") {
			t.Errorf("%q: %#v", test.text, err)
		}
	}
}

func TestPolicyIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		spec  app.Spec
		field string
	}{
		{app.Spec{Surge: -1}, "surge"},
		{app.Spec{Spares: -1}, "spares"},
		{app.Spec{Spares: app.MaxWorkers + 1}, "spares"},
		{app.Spec{ReloadSettle: -1}, "reload_settle"},
		{app.Spec{RetireOver: -1}, "retire_over"},
		{app.Spec{DrainTimeout: -1}, "drain_timeout"},
		{app.Spec{HangTimeout: -1}, "hang_timeout"},
		{app.Spec{HealthTimeout: -1}, "health_timeout"},
		{app.Spec{MaxOldGenerations: -1}, "max_old_generations"},
		{app.Spec{MaxAge: -1}, "max_age"},
		{app.Spec{MaxMemory: -1}, "max_memory"},
		{app.Spec{MaxMemoryHard: -1}, "max_memory_hard"},
		{app.Spec{MaxMemory: 2, MaxMemoryHard: 2}, "max_memory_hard"},
		{app.Spec{MaxRequests: -1}, "max_requests"},
		{app.Spec{Job: true, MaxAge: 1}, "job"},
		{app.Spec{Health: "no"}, "health"},
	}
	for _, test := range tests {
		test.spec.Command = []string{"x"}
		_, err := app.New(test.spec)
		if e, ok := errors.AsType[*app.Error](err); !ok || e.Field != test.field {
			t.Errorf("%s: %v", test.field, err)
		}
	}
}
