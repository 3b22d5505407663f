package sock

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/musterd/muster/internal/app"
)

// endpoint is one address to try for a TCP or UDP listener.
type endpoint struct {
	domain int
	sa     unix.Sockaddr
	v6only bool
}

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }

func isInet(network string) bool {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		return true
	}
	return false
}

// describe names a listener in messages: by its name where it has one, and by its address.
func describe(l app.Listener) string {
	if l.Name == "" || l.Name == address(l) {
		return address(l)
	}
	return fmt.Sprintf("%s (%s)", l.Name, address(l))
}

// address returns "unix:/path", ":3000" or "[::1]:3000", with a prefix where the network is not plain TCP.
func address(l app.Listener) string {
	if l.Network == "unix" {
		return "unix:" + l.Path
	}
	hostport := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	if l.Network == "tcp" {
		return hostport
	}
	return l.Network + "://" + hostport
}

// endpoints returns the addresses to try, in order: the second is for a machine without IPv6.
func endpoints(l app.Listener, v6only bool) ([]endpoint, error) {
	if l.Port < 0 || l.Port > 65535 {
		return nil, invalid(l, "the port must be between 0 and 65535")
	}
	if l.Host == "" {
		return wildcards(l, v6only), nil
	}
	addr, err := netip.ParseAddr(l.Host)
	if err != nil {
		return nil, invalid(l, "the host is not an IP address")
	}
	e, err := literal(l, addr.Unmap(), v6only)
	if err != nil {
		return nil, err
	}
	return []endpoint{e}, nil
}

func wildcards(l app.Listener, v6only bool) []endpoint {
	four := endpoint{domain: unix.AF_INET, sa: &unix.SockaddrInet4{Port: l.Port}}
	six := endpoint{domain: unix.AF_INET6, sa: &unix.SockaddrInet6{Port: l.Port}}
	switch {
	case strings.HasSuffix(l.Network, "4"):
		return []endpoint{four}
	case strings.HasSuffix(l.Network, "6"), v6only:
		six.v6only = true
		return []endpoint{six}
	}
	return []endpoint{six, four}
}

func literal(l app.Listener, addr netip.Addr, v6only bool) (endpoint, error) {
	switch {
	case addr.Is4() && strings.HasSuffix(l.Network, "6"):
		return endpoint{}, invalid(l, "the host is an IPv4 address")
	case addr.Is6() && strings.HasSuffix(l.Network, "4"):
		return endpoint{}, invalid(l, "the host is an IPv6 address")
	case addr.Is4():
		return endpoint{domain: unix.AF_INET, sa: &unix.SockaddrInet4{Port: l.Port, Addr: addr.As4()}}, nil
	}
	zone, err := zoneID(addr.Zone())
	if err != nil {
		return endpoint{}, invalid(l, err.Error())
	}
	// Only the unspecified address can take IPv4 too; it does so for "tcp" and "udp", as with Node.
	v6only = v6only || strings.HasSuffix(l.Network, "6") || !addr.IsUnspecified()
	sa := &unix.SockaddrInet6{Port: l.Port, Addr: addr.As16(), ZoneId: zone}
	return endpoint{domain: unix.AF_INET6, sa: sa, v6only: v6only}, nil
}

// zoneID turns the zone of an IPv6 address, the name or the number of an interface, into its number.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index), nil
	}
	n, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("there is no network interface %q", zone)
	}
	return uint32(n), nil
}

// addrPort turns what the kernel says into an address; it is false for a unix socket.
func addrPort(sa unix.Sockaddr) (netip.AddrPort, bool) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), true
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			addr = addr.WithZone(zoneName(int(sa.ZoneId)))
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port)), true
	}
	return netip.AddrPort{}, false
}

func zoneName(index int) string {
	if ifi, err := net.InterfaceByIndex(index); err == nil {
		return ifi.Name
	}
	return strconv.Itoa(index)
}
