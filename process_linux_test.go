package muster_test

import (
	"os"
	"syscall"
	"testing"
)

func TestInfoAndEnvironment(t *testing.T) {
	t.Parallel()
	m, end := newFakeMaster(t)
	cmd := workerCommand(t, "info", "NODE_CHANNEL_FD=3", unique, "LISTEN_FDS=0", "LISTEN_PIDFDID=5", "MUSTER_LISTEN=:1",
		"MUSTER_APP=shop", "MUSTER_SLOT=2", "MUSTER_ID=9", "MUSTER_GENERATION=4", "MUSTER_SPARE=1")
	cmd.Args = append(cmd.Args, "an", "argument")
	cmd.ExtraFiles = []*os.File{end}
	p := start(t, cmd)
	end.Close()
	p.line(`^{Managed:true App:shop Slot:2 ID:9 Generation:4 Spare:true}$`)
	for _, name := range []string{"NODE_CHANNEL_FD", "NODE_UNIQUE_ID", "LISTEN_FDS", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "MUSTER_LISTEN"} {
		p.line(`^` + name + `=""$`)
	}
	p.line(`^MUSTER_APP="shop"$`)
	p.line(`^cmdline "(muster: worker shop/2\\x00|.*argument\\x00)"$`)
	p.line(`^args .*"an" "argument"\]$`)
	p.line(`^comm "muster: worker\\n"$`)
	m.close()
}

func TestStandaloneInfo(t *testing.T) {
	t.Parallel()
	p := start(t, workerCommand(t, "info"))
	p.line(`^{Managed:false App: Slot:-1 ID:0 Generation:0 Spare:false}$`)
}

// What nobody asks for is closed, not collected.
func TestForkManyServers(t *testing.T) {
	t.Parallel()
	m, p := startUnder(t, "http")
	for range 40 {
		l, _ := listenTCP(t)
		m.send(handle("net.Server", "server"), l)
		m.expectAck()
		l.Close()
	}
	p.address()
	fds, err := os.ReadDir("/proc/" + pid(p) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	if len(fds) > 16+16 {
		t.Errorf("%d descriptors are open", len(fds))
	}
}

// O_NONBLOCK belongs to everyone who holds the socket.
func TestInheritedSocketStaysNonblocking(t *testing.T) {
	t.Parallel()
	l, addr := listenTCP(t)
	p := inherit(t, "http", []*os.File{l})
	p.address()
	get(t, addr, "/")
	p.signal(syscall.SIGTERM)
	p.exits(0)
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		if errno != 0 || flags&syscall.O_NONBLOCK == 0 {
			t.Errorf("flags %#x, %v", flags, errno)
		}
	})
}
