package order_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/order"
)

func needs(pairs ...string) app.Dependencies {
	d := app.Dependencies{}
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i]] = app.Condition(pairs[i+1])
	}
	return d
}

func TestWaits(t *testing.T) {
	t.Parallel()
	serving := order.Reached{Started: true, Ready: true}
	part := func(s app.Spec, p order.Part) order.Part { p.Spec = s; return p }
	server, checked, job := app.Spec{}, app.Spec{Health: "tcp"}, app.Spec{Job: true}
	cron := app.Spec{Schedule: "@daily"}
	tests := []struct {
		name  string
		until string
		db    order.Part
		want  string
	}{
		{"serves", "auto", part(server, order.Part{Wanted: true, Runs: true, Reached: serving}), ""},
		{"not yet", "auto", part(server, order.Part{Wanted: true, Runs: true}), "waiting for db (ready)"},
		{"started is less", "started", part(server, order.Part{Wanted: true, Runs: true, Reached: order.Reached{Started: true}}), ""},
		{"stopped", "ready", part(server, order.Part{}), "waiting for db (ready): it is stopped"},
		{"failed", "ready", part(server, order.Part{Failed: "failed: exit status 1"}), "waiting for db (ready): failed: exit status 1"},
		{"fails while it runs", "ready", part(server, order.Part{Wanted: true, Runs: true, Failed: "failed: exit status 1"}), "waiting for db (ready): failed: exit status 1"},
		{"healthy", "healthy", part(checked, order.Part{Wanted: true, Runs: true, Reached: serving}), ""},
		{"health without a check", "healthy", part(server, order.Part{Wanted: true, Runs: true, Reached: serving}), "waiting for db (healthy): it has no health check"},
		{"job under way", "auto", part(job, order.Part{Wanted: true, Runs: true, Reached: order.Reached{Started: true}}), "waiting for db (completed)"},
		{"job that has ended well", "auto", part(job, order.Part{Reached: order.Reached{Completed: true}}), ""},
		{"has started before it ended", "started", part(job, order.Part{Reached: order.Reached{Completed: true}}), ""},
		{"a schedule is in force", "auto", part(cron, order.Part{Wanted: true, Runs: true, Reached: order.Reached{Started: true}}), ""},
		{"what serves is never completed", "completed", part(server, order.Part{Wanted: true, Runs: true, Reached: serving}), "waiting for db (completed): it is no job that runs once, and so never completed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parts := order.Parts{"db": test.db, "api": {Spec: app.Spec{DependsOn: needs("db", test.until)}, Wanted: true}}
			if got := order.Text(parts.Waits("api")); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWaitsOfOthers(t *testing.T) {
	t.Parallel()
	parts := order.Parts{
		"api":  {Spec: app.Spec{DependsOn: needs("db", "ready", "nothing", "ready")}, Wanted: true},
		"db":   {Spec: app.Spec{DependsOn: needs("disk", "ready")}, Wanted: true},
		"disk": {Failed: "failed: no space left"},
		"a":    {Spec: app.Spec{DependsOn: needs("b", "ready")}, Wanted: true},
		"b":    {Spec: app.Spec{DependsOn: needs("a", "ready")}, Wanted: true},
	}
	want := map[string]string{
		"api": "waiting for db (ready): waiting for disk (ready): failed: no space left, nothing (ready): there is no app of that name",
		"db":  "waiting for disk (ready): failed: no space left",
		"a":   "waiting for b (ready): waiting for a (ready): it waits for this one itself",
		"b":   "waiting for a (ready): waiting for b (ready): it waits for this one itself",
	}
	got := map[string]string{}
	for name, waits := range parts.Held() {
		got[name] = order.Text(waits)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	spec := func(name string, d app.Dependencies) app.Spec { return app.Spec{Name: name, DependsOn: d} }
	wrong := order.Check([]app.Spec{
		spec("api", needs("databse", "ready", "web", "completed")), spec("database", nil), spec("web", needs("database", "healthy")),
		spec("a", needs("b", "ready")), spec("b", needs("c", "ready")), spec("c", needs("a", "ready", "job", "ready")), {Name: "job", Job: true},
		spec("d", needs("a", "started")),
	})
	got := map[string][]string{}
	for name, errs := range wrong {
		for _, e := range errs {
			got[name] = append(got[name], e.Value+": "+e.Reason+" / "+e.Hint)
		}
	}
	want := map[string][]string{
		"api": {
			"databse: there is no app of that name / did you mean database?",
			"web: it is no job that runs once, and so never completed / write started or ready, or give web job: true",
		},
		"web": {"database: it has no health check / give database one, as health: http:/healthz, or write ready"},
		"a":   {"b: each would wait for the other: a depends on b depends on c depends on a / take one of these dependencies out"},
		"c":   {"job: it is a job, which serves nobody and is never ready / write started, or completed for a job that runs once"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAboveAndDependants(t *testing.T) {
	t.Parallel()
	run := func(d app.Dependencies) order.Part {
		return order.Part{Spec: app.Spec{DependsOn: d}, Wanted: true, Runs: true}
	}
	parts := order.Parts{
		"db": run(nil), "api": run(needs("db", "ready")), "web": run(needs("api", "ready")), "idle": {Spec: app.Spec{DependsOn: needs("db", "ready")}},
	}
	all := func(string) bool { return true }
	if got := parts.Above("db", all); !slices.Equal(got, []string{"api", "web"}) {
		t.Errorf("above db: %v", got)
	}
	if got := parts.Above("db", func(name string) bool { return name == "web" }); !slices.Equal(got, []string{"web"}) {
		t.Errorf("above db, of web: %v", got)
	}
	if got := parts.Dependants("db"); !slices.Equal(got, []string{"api"}) {
		t.Errorf("dependants: %v", got)
	}
}

func TestCheckOne(t *testing.T) {
	t.Parallel()
	others := map[string]app.Spec{
		"one": {Name: "one", DependsOn: needs("old", "ready")}, "two": {Name: "two", DependsOn: needs("one", "ready")}, "job": {Name: "job", Job: true},
	}
	tests := []struct {
		name string
		spec app.Spec
		want string // empty: nothing is wrong
	}{
		{"nothing", app.Spec{Name: "one"}, ""},
		{"known", app.Spec{Name: "one", DependsOn: needs("job", "completed")}, ""},
		{"unknown", app.Spec{Name: "one", DependsOn: needs("jb", "completed")}, `depends_on "jb": there is no app of that name`},
		{"out of reach", app.Spec{Name: "new", DependsOn: needs("job", "ready")}, `depends_on "job": it is a job, which serves nobody and is never ready`},
		{"a circle", app.Spec{Name: "one", DependsOn: needs("two", "started")}, `depends_on "two": each would wait for the other: one depends on two depends on one`},
		{"what it was is forgotten", app.Spec{Name: "two", DependsOn: needs("job", "completed")}, ""},
	}
	for _, test := range tests {
		got := ""
		if err := order.CheckOne(test.spec, others); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
