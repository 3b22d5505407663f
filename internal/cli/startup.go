package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// unitName is the unit of systemd that starts the daemon.
const unitName = "muster.service"

type startupCommand struct {
	print  bool
	stdout *os.File
	stderr *os.File
}

func newStartup(stdout, stderr *os.File) *cobra.Command {
	s := &startupCommand{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "startup",
		Short: "Have systemd start the daemon, and what was saved, with the machine",
		Long: `Have systemd start the daemon, and what was saved, with the machine.

For root that is a unit of the system; for others one of the user's own, which runs without a login after loginctl enable-linger.
A daemon that systemd kills or that crashes is started again; the apps do not notice. muster unstartup undoes it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&s.print, "print", false, "print the unit, and do nothing")
	return cmd
}

func (s *startupCommand) run(ctx context.Context) error {
	unit, err := unitText()
	if err != nil {
		return err
	}
	if s.print {
		_, err := fmt.Fprint(s.stdout, unit)
		return err
	}
	if err := requireSystemd(); err != nil {
		return err
	}
	path, err := unitPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		return &failure{message: "write the unit: " + err.Error(), hint: "muster startup --print prints it", code: exitFailed}
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", unitName}} {
		if err := systemctl(ctx, args...); err != nil {
			return errors.Join(err, os.Remove(path))
		}
	}
	fmt.Fprintf(s.stdout, "wrote %s, and enabled it: the daemon and what muster save has saved start with the machine\n", path)
	return s.tellRest(ctx)
}

// tellRest says what is left to be done.
func (s *startupCommand) tellRest(ctx context.Context) error {
	option := ""
	if os.Geteuid() != 0 {
		option = "--user "
		if !lingers() {
			fmt.Fprintln(s.stdout, "to have it without a login: loginctl enable-linger")
		}
	}
	if daemon, _ := runningDaemon(ctx); daemon != nil {
		daemon.Close()
		fmt.Fprintln(s.stdout, "a daemon runs already; to have systemd look after it from now on: muster daemon stop --leave-apps; systemctl "+option+"start muster")
	} else {
		fmt.Fprintln(s.stdout, "to start it now: systemctl "+option+"start muster")
	}
	fmt.Fprintln(s.stdout, "when the apps run as they should: muster save")
	return nil
}

// lingers tells whether systemd runs this user's units without a login.
func lingers() bool {
	who, err := user.Current()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join("/var/lib/systemd/linger", who.Username))
	return err == nil
}

func newUnstartup(stdout *os.File) *cobra.Command {
	return &cobra.Command{
		Use:   "unstartup",
		Short: "Undo startup; what runs goes on",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireSystemd(); err != nil {
				return err
			}
			path, err := unitPath()
			if err != nil {
				return err
			}
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return &failure{message: "there is no " + path, hint: "muster startup writes it", code: exitNotFound}
			}
			if err := systemctl(cmd.Context(), "disable", unitName); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
			if err := systemctl(cmd.Context(), "daemon-reload"); err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, "removed "+path)
			return err
		},
	}
}

// unitText is the unit. KillMode is process because the apps are to outlive a daemon that was killed: a stop ends them through the daemon, and
// a restart, which has a signal of its own, leaves them to the next one. The network is the system's concern, which users have no unit for.
func unitText() (string, error) {
	binary, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the binary: %w", err)
	}
	after, target, names := "After=network-online.target\nWants=network-online.target\n", "multi-user.target", []string{"HOME", "XDG_STATE_HOME", "MUSTER_HOME", "PATH"}
	if os.Geteuid() != 0 {
		after, target, names = "", "default.target", []string{"XDG_STATE_HOME", "MUSTER_HOME", "PATH"}
	}
	var env strings.Builder
	for _, name := range names { // as here, so that the daemon finds what this shell's has saved
		if value := os.Getenv(name); value != "" {
			fmt.Fprintf(&env, "Environment=%s\n", quoteUnit(name+"="+value))
		}
	}
	return fmt.Sprintf(`[Unit]
Description=muster keeps apps running
%sStartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=%s daemon --resurrect
%sKillMode=process
RestartKillSignal=SIGUSR2
Restart=on-failure
RestartSec=1
OOMPolicy=continue
Delegate=yes
LimitNOFILE=65536:1048576
TimeoutStartSec=5min
TimeoutStopSec=5min

[Install]
WantedBy=%s
`, after, quoteUnit(binary), env.String(), target), nil
}

// quoteUnit writes a word as systemd reads it.
func quoteUnit(word string) string {
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(word)
	if strings.ContainsAny(word, " \t\"'\\;") {
		return `"` + word + `"`
	}
	return word
}

func unitPath() (string, error) {
	if os.Geteuid() == 0 {
		return filepath.Join("/etc/systemd/system", unitName), nil
	}
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "systemd", "user", unitName), err
}

func requireSystemd() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return &failure{message: "systemd does not run here", hint: "have your init run muster daemon --resurrect; muster startup --print shows the unit", code: exitFailed}
	}
	return nil
}

func systemctl(ctx context.Context, args ...string) error {
	if os.Geteuid() != 0 {
		args = append([]string{"--user"}, args...)
	}
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		f := &failure{message: fmt.Sprintf("systemctl %s: %v: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out))), code: exitFailed}
		if os.Getenv("XDG_RUNTIME_DIR") == "" && os.Geteuid() != 0 {
			f.hint = "a shell made by su or sudo does not know your own systemd: log in as this user, or set XDG_RUNTIME_DIR=/run/user/" + strconv.Itoa(os.Geteuid())
		}
		return f
	}
	return nil
}
