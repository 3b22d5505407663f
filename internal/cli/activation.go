package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/master"
	"github.com/musterd/muster/internal/notify"
	"github.com/musterd/muster/internal/sock"
	"golang.org/x/sys/unix"
)

// takeGiven returns the names of the descriptors that a manager above has passed, as systemd, from notify.FirstFD on. From then on no process
// that this one starts has them, or is told of them.
func takeGiven() ([]string, error) {
	names, err := notify.ParseListenEnv(os.Getenv, os.Getpid())
	if err == nil && len(names) > 0 {
		names, err = meant(names)
	}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		_ = os.Unsetenv(name)
	}
	for i := range names {
		unix.CloseOnExec(notify.FirstFD + i)
	}
	if err != nil {
		return nil, fmt.Errorf("take the sockets of the manager above: %w", err)
	}
	master.DropLeftovers(names, notify.FirstFD)
	return names, nil
}

// meant are the names if they are for this process, and not for an earlier one with its number.
func meant(names []string) ([]string, error) {
	id, err := notify.PIDFDID(os.Getpid())
	if err != nil {
		id = 0 // cannot be told
	}
	if ours, err := notify.MeantFor(os.Getenv, id); !ours || err != nil {
		return nil, err
	}
	return names, nil
}

// givenSocket is a socket from a manager above.
type givenSocket struct {
	app.Listener // its name is that which the manager gives
	fd           int
}

// adoptGiven makes the sockets the app's listeners. A listener of the spec gets the socket with its name, else the one with its address; where
// the spec has no listeners, each socket is one. Each must find its place: nobody would serve who connects to it.
func adoptGiven(spec *app.Spec, names []string) (map[string]int, error) {
	sockets, err := describeGiven(names)
	if err != nil || len(sockets) == 0 {
		return nil, err
	}
	placed := map[string]int{}
	if len(spec.Listen) == 0 {
		for _, s := range sockets {
			s.Name = freeName(s, placed)
			spec.Listen = append(spec.Listen, s.String())
			placed[s.Name] = s.fd
		}
		return placed, nil
	}
	listeners, err := parseListeners(spec.Listen)
	if err != nil {
		return nil, err
	}
	for _, same := range []func(app.Listener, app.Listener) bool{sameName, sameAddress} {
		for i, l := range listeners {
			at := slices.IndexFunc(sockets, func(s givenSocket) bool { return same(l, s.Listener) })
			if _, has := placed[l.Name]; has || at < 0 {
				continue
			}
			s := sockets[at]
			s.Name, placed[l.Name] = l.Name, s.fd
			spec.Listen[i] = s.String()
			sockets = slices.Delete(sockets, at, at+1)
		}
	}
	if len(sockets) > 0 {
		s := sockets[0]
		return nil, &usageError{
			fmt.Sprintf("socket %s on %s, from the manager above, is no listener of the app", s.Name, s.Address()),
			"add --listen " + s.Address() + ", or say which it is by FileDescriptorName= in the socket unit",
		}
	}
	return placed, nil
}

func describeGiven(names []string) ([]givenSocket, error) {
	var sockets []givenSocket
	for i, name := range names {
		if name == "" { // dropped
			continue
		}
		s := givenSocket{fd: notify.FirstFD + i}
		l, err := sock.Describe(s.fd)
		if err != nil {
			return nil, &failure{message: fmt.Sprintf("adopt %s from the manager above: %v", name, err), hint: "a socket unit needs Accept=no, and ListenStream= or ListenDatagram=", code: exitFailed}
		}
		s.Listener, s.Name = l, name
		sockets = append(sockets, s)
	}
	return sockets, nil
}

func parseListeners(texts []string) ([]app.Listener, error) {
	a, err := app.New(app.Spec{Name: "x", Command: []string{"x"}, Listen: texts}) // names that were not written are made as for the app
	return a.Listeners, err
}

func sameName(l, given app.Listener) bool {
	return l.Name == strings.TrimSuffix(given.Name, ".socket") && (l.Network == "unix") == (given.Network == "unix") && l.Network[:3] == given.Network[:3]
}

func sameAddress(l, given app.Listener) bool {
	return l.Network[:3] == given.Network[:3] && l.Host == given.Host && l.Port == given.Port && l.Path == given.Path
}

// freeName is the name that a manager gives, without what names of listeners do not have, and different from the others.
func freeName(s givenSocket, taken map[string]int) string {
	name := app.DeriveName(strings.TrimSuffix(s.Name, ".socket"))
	if s.Name == notify.DefaultName {
		name = ""
	}
	name = cmp.Or(name, app.DeriveName(s.Address()))
	for n := 2; ; n++ {
		if _, has := taken[name]; !has {
			return name
		}
		name = fmt.Sprintf("%s-%d", strings.TrimSuffix(name, fmt.Sprintf("-%d", n-1)), n)
	}
}
