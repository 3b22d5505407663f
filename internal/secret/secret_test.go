package secret_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/secret"
)

func TestName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"PASSWORD": true, "DB_PASSWORD": true, "PGPASSWORD": true, "MYSQL_PWD": true, "db-pwd": true, "Pwd": true, "SECRET_KEY_BASE": true, "apiKey": true,
		"API_KEY": true, "SSHKEY": true, "GITHUB_TOKEN": true, "NPM_TOKEN": true, "accessToken": true, "AWS_SECRET_ACCESS_KEY": true, "GOOGLE_APPLICATION_CREDENTIALS": true,
		"MYSQL_DSN": true, "SENTRY_DSN": true, "REDIS_AUTH": true, "SMTP_PASS": true, "passphrase": true, "--api-key": true, "SESSION_SECRETS": true,
		"PWD": false, "OLDPWD": false, "PATH": false, "NODE_ENV": false, "KEYBOARD": false, "SSH_AUTH_SOCK": false, "COMPASS": false, "PORT": false,
		"PASSENGER": false, "TOKENIZER": false, "": false, "_": false, "HOME": false, "AUTHOR": false, "PINNED": false,
	} {
		if got := secret.Name(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"node server.js --port 3000":                                          "node server.js --port 3000",
		"node server.js --password=hunter2 --port=3":                          "node server.js --password=*** --port=3",
		"node server.js --password hunter2 --port 3":                          "node server.js --password *** --port 3",
		`mysql -h x --password 'two words' -u me`:                             `mysql -h x --password *** -u me`,
		`DB_PASSWORD="two words" node x`:                                      `DB_PASSWORD=*** node x`,
		"API_KEY=abc node x.js":                                               "API_KEY=*** node x.js",
		"java -Ddb.password=abc -jar x":                                       "java -Ddb.password=*** -jar x",
		"connect to postgres://me:pa:ss@db/x failed":                          "connect to postgres://me:***@db/x failed",
		"redis://:abc@db:6379/0":                                              "redis://:***@db:6379/0",
		"amqp://me:p@ss@mq//":                                                 "amqp://me:***@mq//",
		"https://ghp_abcdef@github.com/x":                                     "https://***@github.com/x",
		"git+ssh://git@github.com/x":                                          "git+ssh://git@github.com/x",
		"http://host/path?a=b@c":                                              "http://host/path?a=b@c",
		"GET http://host/?token=abc&page=2":                                   "GET http://host/?token=***&page=2",
		"Server=db;Database=x;Password=abc;Port=1":                            "Server=db;Database=x;Password=***;Port=1",
		`{"user": "me", "password": "abc", "port": 1}`:                        `{"user": "me", "password": "***", "port": 1}`,
		`{\"password\":\"abc\"}`:                                              `{\"password\":\"***\"}`,
		"curl -H 'Authorization: Bearer abcdefgh.ijk'":                        "curl -H 'Authorization: Bearer ***'",
		"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----": "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
		"exit status 1":                                                       "exit status 1",
		"TypeError: key is undefined":                                         "TypeError: key is undefined",
		"at file:///srv/app/server.js:10:15":                                  "at file:///srv/app/server.js:10:15",
		"/run/x.sock":                                                         "/run/x.sock",
		"":                                                                    "",
	} {
		if got := secret.Text(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestValueAndWords(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]string{
		{"DB_PASSWORD", "a b=c", secret.Mask}, {"DB_PASSWORD", "", ""}, {"NODE_ENV", "production", "production"},
		{"DATABASE_URL", "postgres://me:abc@db/x?sslmode=off", "postgres://me:***@db/x?sslmode=off"}, {"DATABASE_URL", "me:abc@tcp(db:3306)/x", "me:***@tcp(db:3306)/x"},
		{"OPTIONS", "host=db password=abc", "host=db password=***"}, {"PATH", "/bin:/usr/bin", "/bin:/usr/bin"},
	} {
		if got := secret.Value(test[0], test[1]); got != test[2] {
			t.Errorf("%s=%s: %s", test[0], test[1], got)
		}
	}
	got := secret.Words([]string{"node", "--token", "abc", "--password=a b", "--key", "--verbose", "PIN=12 34", "x=postgres://a:b@c", "a b=c"})
	want := []string{"node", "--token", "***", "--password=***", "--key", "--verbose", "PIN=***", "x=postgres://a:***@c", "a b=c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMasked: no text of an API answer keeps a secret, wherever it stands, and what was masked is a copy.
func TestMasked(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2"
	flag, line := "--password="+hidden, "dial postgres://me:"+hidden+"@db: refused"
	two := 2
	entry := api.Entry{
		Name: "api", Why: line, Hint: line, Since: time.Unix(1, 0), Silent: line,
		Launch: &api.Launch{Spec: app.Spec{Command: []string{"x", flag, "--token", hidden}, Env: map[string]string{"A_TOKEN": hidden, "B": line}, MaxRestarts: &two, BeforeReload: "x " + flag}, Env: []string{"KEY=" + hidden}},
		App: &api.App{
			Command: []string{"x", flag}, Slots: []api.Slot{{Exits: []api.Exit{{Stderr: []string{line}}}, Workers: []api.Worker{{Status: line}}}},
			Operations: []api.Operation{{Reason: line, Stderr: []string{line}}},
		},
	}
	before, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	var any any = entry
	shown, err := json.Marshal(secret.Masked(any))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), hidden) {
		t.Errorf("%s", shown)
	}
	if after, _ := json.Marshal(entry); string(after) != string(before) {
		t.Errorf("the value itself was changed: %s", after)
	}
	clean := strings.ReplaceAll(string(before), hidden, secret.Mask)
	if diff := cmp.Diff(clean, string(shown)); diff != "" {
		t.Error(diff)
	}
	if got := secret.Masked[error](nil); got != nil {
		t.Error(got)
	}
}

func BenchmarkMasked(b *testing.B) {
	a := api.App{Command: []string{"node", "server.js", "--port", "3000"}}
	for slot := range 1000 {
		a.Slots = append(a.Slots, api.Slot{Slot: slot, State: api.SlotServing, Workers: []api.Worker{{ID: uint64(slot), Phase: "serving"}}, Exits: []api.Exit{{Why: "exit status 1", Stderr: []string{"Error: x", "    at file:///srv/app/server.js:10:15"}}}})
	}
	for b.Loop() {
		secret.Masked(a)
	}
}
