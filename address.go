package muster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fallbackAddress is used when neither the program nor the environment names one.
const fallbackAddress = ":8080"

// address is a network and an address in the sense of net.Listen.
type address struct {
	network string
	addr    string
}

func (a address) String() string { return a.network + " " + a.addr }

func (a address) packet() bool { return strings.HasPrefix(a.network, "udp") }

// parseAddress reads an address as an operator writes it: ":3000", "3000", "tcp://[::1]:3000", "unix:/run/x.sock",
// "udp://:53", each possibly behind "name=".
func parseAddress(s string) address {
	if name, rest, ok := strings.Cut(s, "="); ok && !strings.ContainsAny(name, ":/[") {
		s = rest
	}
	for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix"} {
		if rest, ok := strings.CutPrefix(s, network+":"); ok {
			return address{network, strings.TrimPrefix(rest, "//")}
		}
	}
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") {
		return address{"unix", s}
	}
	return address{"tcp", withColon(s)}
}

func withColon(s string) string {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		return ":" + s
	}
	return s
}

// parseAddresses returns the addresses of the given kind.
func parseAddresses(list []string, packet bool) []address {
	var out []address
	for _, s := range list {
		if a := parseAddress(s); a.packet() == packet {
			out = append(out, a)
		}
	}
	return out
}

// defaultAddress is what an empty address means when the operator named none.
func defaultAddress() string {
	if port := os.Getenv("PORT"); port != "" {
		return withColon(port)
	}
	return fallbackAddress
}

// resolve checks a and returns it as a net.Addr with literal IP and port numbers; an unspecified host is a nil IP.
func (a address) resolve() (net.Addr, error) {
	switch a.network {
	case "tcp", "tcp4", "tcp6":
		return net.ResolveTCPAddr(a.network, a.addr)
	case "udp", "udp4", "udp6":
		return net.ResolveUDPAddr(a.network, a.addr)
	case "unix":
		return resolveUnix(a.addr)
	}
	return nil, net.UnknownNetworkError(a.network)
}

func resolveUnix(path string) (net.Addr, error) {
	if path == "" {
		return nil, errors.New("empty path")
	}
	if strings.HasPrefix(path, "@") {
		return &net.UnixAddr{Name: path, Net: "unix"}, nil
	}
	abs, err := filepath.Abs(path)
	return &net.UnixAddr{Name: abs, Net: "unix"}, err
}

// matches reports whether a socket bound to have serves somebody who asked for want.
func matches(want, have net.Addr) bool {
	switch h := have.(type) {
	case *net.TCPAddr:
		w, ok := want.(*net.TCPAddr)
		return ok && w.Port == h.Port && hostMatches(w.IP, h.IP)
	case *net.UDPAddr:
		w, ok := want.(*net.UDPAddr)
		return ok && w.Port == h.Port && hostMatches(w.IP, h.IP)
	case *net.UnixAddr:
		w, ok := want.(*net.UnixAddr)
		return ok && w.Name == h.Name
	}
	return false
}

func hostMatches(want, have net.IP) bool {
	return want == nil || want.IsUnspecified() || want.Equal(have)
}

// port of an address that has one, else 0.
func port(a net.Addr) int {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.Port
	case *net.UDPAddr:
		return a.Port
	}
	return 0
}

func listenError(a address, err error) error {
	return fmt.Errorf("listen on %s: %w", a, err)
}

// indexAddress returns the position of a in list, compared as resolved addresses, or -1.
func indexAddress(list []address, a address) int {
	want, err := a.resolve()
	if err != nil || a.addr == "" {
		return -1
	}
	return slices.IndexFunc(list, func(b address) bool {
		have, err := b.resolve()
		return err == nil && have.Network() == want.Network() && have.String() == want.String()
	})
}
