package account_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/account"
	"github.com/musterd/muster/internal/app"
)

func TestFindNobody(t *testing.T) {
	t.Parallel()
	if a, err := account.Find("", ""); a != nil || err != nil {
		t.Errorf("%v, %v", a, err)
	}
}

func TestFindOneself(t *testing.T) {
	t.Parallel()
	a, err := account.Find("root", "")
	if os.Geteuid() != 0 {
		e, ok := errors.AsType[*app.Error](err)
		if !ok || !strings.Contains(e.Reason, "only root can") || e.Hint == "" {
			t.Errorf("%v, %v", a, err)
		}
		return
	}
	if err != nil || a.UID != 0 || a.GID != 0 || a.Name != "root" || a.Home == "" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestFindByName(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, name := range []string{"daemon", "1"} {
		a, err := account.Find(name, "")
		if err != nil || a.UID != 1 || a.GID != 1 || a.Name != "daemon" || a.Same {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	a, err := account.Find("daemon", "4321")
	if err != nil || a.UID != 1 || a.GID != 4321 {
		t.Errorf("%+v, %v", a, err)
	}
	a, err = account.Find("4321", "4322")
	if err != nil || a.UID != 4321 || a.GID != 4322 || a.Name != "" || a.Home != "/" || len(a.Groups) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestFindRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ user, group, message string }{
		{"no-such-user", "", `user "no-such-user": there is no such user`},
		{"4321", "", `user "4321": has no entry in /etc/passwd that says its group`},
		{"", "no-such-group", `group "no-such-group": there is no such group`},
	}
	for _, tt := range tests {
		_, err := account.Find(tt.user, tt.group)
		e, ok := errors.AsType[*app.Error](err)
		if !ok || e.Error() != tt.message || e.Hint == "" {
			t.Errorf("got %v, want %s", err, tt.message)
		}
	}
}
