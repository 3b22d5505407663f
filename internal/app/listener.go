package app

import (
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

const (
	listenHint  = "write :3000, 127.0.0.1:3000, [::1]:3000, tcp4://:3000, udp://:53 or unix:/run/x.sock, with a name before it as in web=:3000"
	maxName     = 255 // LISTEN_FDNAMES, sd_listen_fds(3)
	maxUnixPath = 107 // sun_path without its closing NUL, unix(7)
)

// ParseListener reads one address to listen on:
//
//	:3000  3000  *:3000        every address, IPv4 and IPv6
//	127.0.0.1:3000             an IPv4 address
//	[::1]:3000                 an IPv6 address
//	localhost:3000             127.0.0.1 alone, so that the app never has half of a listener
//	tcp4://:3000  tcp6://:3000 every address of one family; udp, udp4 and udp6 likewise
//	unix:/run/x.sock           a Unix socket; a relative path is left as it is, see App.In
//	web=:3000                  any of these with a name
//
// A port of 0 lets the kernel pick one. Where an IP address is given the network tells its family, so "tcp" and "udp" always mean
// both families. A listener without a name is called after its network and its port or file: "tcp-3000", "unix-x.sock".
func ParseListener(text string) (Listener, error) {
	l, _, err := parseListener(text)
	return l, err
}

// parseListener also tells whether the user chose the name.
func parseListener(text string) (l Listener, named bool, err error) {
	name, address, named := cutName(strings.TrimSpace(text))
	if named && !validName(name, maxName) {
		return Listener{}, false, invalid("listen", text, "the name before = may hold letters, digits, dot, dash and underscore only", "")
	}
	l, e := parseAddress(address)
	if e != nil {
		e.Field, e.Value = "listen", text
		return Listener{}, false, e
	}
	l.Name = name
	if !named {
		l.Name = l.defaultName()
	}
	return l, named, nil
}

// cutName splits "name=address". A "=" behind the start of an address belongs to that.
func cutName(text string) (name, address string, named bool) {
	before, after, found := strings.Cut(text, "=")
	if !found || strings.ContainsAny(before, ":/[") {
		return "", text, false
	}
	return before, after, true
}

func parseAddress(text string) (Listener, *Error) {
	if file, ok := strings.CutPrefix(text, "unix:"); ok {
		return parseUnix(file)
	}
	network, hostPort, ok := strings.Cut(text, "://")
	if !ok {
		network, hostPort = "tcp", text
	}
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		return parseInet(network, hostPort)
	}
	return Listener{}, &Error{Reason: "the network " + strconv.Quote(network) + " is not known", Hint: listenHint}
}

func parseUnix(file string) (Listener, *Error) {
	if rest, ok := strings.CutPrefix(file, "//"); ok && strings.HasPrefix(rest, "/") {
		file = rest
	}
	l := Listener{Network: "unix", Path: cleanPath(file)}
	switch {
	case file == "":
		return l, &Error{Reason: "the path of the socket is missing", Hint: "write unix:/run/x.sock"}
	case file[0] == '@':
		return l, &Error{Reason: "abstract sockets are not supported", Hint: "write the path of a file, as unix:/run/x.sock"}
	case namesDirectory(file):
		return l, &Error{Reason: "the path of the socket names a directory", Hint: "write the path of a file, as unix:/run/x.sock"}
	case strings.ContainsRune(file, 0):
		return l, &Error{Reason: "the path of the socket holds a NUL"}
	}
	return l, checkPathLength(l)
}

// cleanPath keeps a file whose name begins with @ apart from an abstract socket.
func cleanPath(file string) string {
	clean := path.Clean(file)
	if clean[0] == '@' {
		return "./" + clean
	}
	return clean
}

func namesDirectory(file string) bool {
	last := file[strings.LastIndexByte(file, '/')+1:]
	return last == "" || last == "." || last == ".."
}

func checkPathLength(l Listener) *Error {
	if len(l.Path) <= maxUnixPath {
		return nil
	}
	return &Error{Reason: "the path of the socket has " + strconv.Itoa(len(l.Path)) + " bytes, more than " + strconv.Itoa(maxUnixPath), Hint: "put the socket into a directory with a shorter name"}
}

func parseInet(network, hostPort string) (Listener, *Error) {
	host, portText, err := splitHostPort(hostPort)
	if err != nil {
		return Listener{}, err
	}
	port, err := parsePort(portText)
	if err != nil {
		return Listener{}, err
	}
	network, host, err = parseHost(network, host)
	return Listener{Network: network, Host: host, Port: port}, err
}

func splitHostPort(text string) (host, port string, err *Error) {
	if isDigits(text) {
		return "", text, nil
	}
	host, port, splitErr := net.SplitHostPort(text)
	if splitErr == nil {
		return host, port, nil
	}
	return "", "", &Error{Reason: splitReason(text), Hint: splitHint(text)}
}

func splitReason(text string) string {
	switch {
	case text == "":
		return "the address is empty"
	case strings.Contains(text, "/"):
		return "is not an address"
	case strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "["):
		return "an IPv6 address needs brackets"
	}
	return "the port is missing"
}

func splitHint(text string) string {
	switch {
	case strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasSuffix(text, ".sock"):
		return "for a Unix socket write unix:" + text
	case strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "["):
		return "write [::1]:3000"
	}
	return listenHint
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func parsePort(text string) (int, *Error) {
	if text == "" {
		return 0, &Error{Reason: "the port is missing", Hint: "write a port after the colon, as :3000; 0 lets the kernel pick one"}
	}
	if !isDigits(text) {
		return 0, &Error{Reason: "the port " + strconv.Quote(text) + " is not a number", Hint: portHint(text)}
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, &Error{Reason: "the port " + text + " is out of range", Hint: "a port is a number from 0 to 65535"}
	}
	return int(port), nil
}

func portHint(name string) string {
	switch strings.ToLower(name) {
	case "http":
		return "write :80"
	case "https":
		return "write :443"
	}
	return "a port is a number from 0 to 65535"
}

// parseHost returns the network that the host leaves possible, and the host in canonical form.
func parseHost(network, host string) (string, string, *Error) {
	proto, family := network[:3], network[3:]
	switch host {
	case "", "*":
		return network, "", nil
	case "localhost":
		host = loopback(family)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", "", &Error{Reason: "the host " + strconv.Quote(host) + " is not an IP address", Hint: "write the address itself, or :PORT for every address"}
	}
	addr = addr.Unmap()
	if family != "" && family != familyOf(addr) {
		return "", "", &Error{Reason: addr.String() + " is not an address of " + network, Hint: "write " + proto + familyOf(addr) + "://"}
	}
	return canonicalHost(proto, family, addr)
}

func loopback(family string) string {
	if family == "6" {
		return "::1"
	}
	return "127.0.0.1"
}

func familyOf(addr netip.Addr) string {
	if addr.Is4() {
		return "4"
	}
	return "6"
}

// canonicalHost turns 0.0.0.0 and [::] into the empty host. [::] alone means both families, as bind(2) has it by default.
func canonicalHost(proto, family string, addr netip.Addr) (string, string, *Error) {
	if !addr.IsUnspecified() || addr.Zone() != "" {
		return proto + familyOf(addr), addr.String(), nil
	}
	if addr.Is6() {
		return proto + family, "", nil
	}
	return proto + "4", "", nil
}

// Address returns the listener without its name, in a form that ParseListener reads: "tcp://:3000", "unix:/run/x.sock".
func (l Listener) Address() string {
	if l.Network == "unix" {
		return "unix:" + l.Path
	}
	return l.Network + "://" + net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
}

// String returns "name=address", which ParseListener reads.
func (l Listener) String() string { return l.Name + "=" + l.Address() }

func (l Listener) defaultName() string {
	if l.Network == "unix" {
		return sanitize("unix-"+path.Base(l.Path), maxName)
	}
	return l.Network[:3] + "-" + strconv.Itoa(l.Port)
}
