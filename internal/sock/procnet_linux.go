package sock

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/musterd/muster/internal/app"
)

// States of a socket in /proc/net, in hexadecimal: TCP_LISTEN, and TCP_CLOSE, which is what a bound UDP socket has.
const (
	stateListen = "0A"
	stateBound  = "07"
)

// holders returns the inodes of the sockets that stand in the way of l.
func holders(l app.Listener) map[uint64]bool {
	inodes := map[uint64]bool{}
	match := func(fields []string) (uint64, bool) { return inetHolder(l, fields) }
	files := []string{"tcp", "tcp6"}
	switch {
	case isUDP(l.Network):
		files = []string{"udp", "udp6"}
	case l.Network == "unix":
		files = []string{"unix"}
		match = func(fields []string) (uint64, bool) { return unixHolder(l, fields) }
	}
	for _, name := range files {
		scan("/proc/net/"+name, func(line string) {
			if inode, ok := match(strings.Fields(line)); ok {
				inodes[inode] = true
			}
		})
	}
	return inodes
}

// scan calls f with every line of a table after its heading. Of TCP's it reads no further than the sockets that listen: the kernel
// lists them first, and there may be a hundred thousand others.
func scan(path string, f func(line string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	tcp := strings.HasPrefix(filepath.Base(path), "tcp")
	lines := bufio.NewScanner(file)
	lines.Scan()
	for lines.Scan() {
		line := lines.Text()
		if fields := strings.Fields(line); tcp && len(fields) > 3 && fields[3] != stateListen {
			return
		}
		f(line)
	}
}

// inetHolder reads a line of /proc/net/tcp: "sl local remote st queues timer retransmits uid timeout inode …".
func inetHolder(l app.Listener, fields []string) (uint64, bool) {
	want := stateListen
	if isUDP(l.Network) {
		want = stateBound
	}
	if len(fields) < 10 || fields[3] != want {
		return 0, false
	}
	bound, ok := parseAddr(fields[1])
	if !ok || int(bound.Port()) != l.Port || !overlaps(l.Host, bound.Addr()) {
		return 0, false
	}
	inode, err := strconv.ParseUint(fields[9], 10, 64)
	return inode, err == nil
}

// overlaps tells whether both can claim the same packets: one is unspecified or they are equal.
func overlaps(host string, bound netip.Addr) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.IsUnspecified() || bound.IsUnspecified() {
		return true
	}
	return addr.Unmap().WithZone("") == bound.Unmap()
}

// parseAddr reads "0100007F:0BB8": words of four bytes in the byte order of the machine, then the port.
func parseAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr, uint16(n)), ok && err == nil
}

// unixHolder reads a line of /proc/net/unix: "num refs protocol flags type state inode path". A path with runs of spaces does not match.
func unixHolder(l app.Listener, fields []string) (uint64, bool) {
	const listening = "00010000" // __SO_ACCEPTCON
	if len(fields) < 8 || fields[3] != listening || strings.Join(fields[7:], " ") != l.Path {
		return 0, false
	}
	inode, err := strconv.ParseUint(fields[6], 10, 64)
	return inode, err == nil
}
