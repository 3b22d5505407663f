package account

import "golang.org/x/sys/unix"

// missingCapability names what this process lacks to start processes of another user, and to signal them; empty: nothing.
func missingCapability() string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return ""
	}
	for _, c := range []struct {
		number int
		name   string
	}{{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_KILL, "CAP_KILL"}} {
		if data[c.number/32].Effective&(1<<(c.number%32)) == 0 {
			return c.name
		}
	}
	return ""
}
