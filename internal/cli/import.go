package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterd/muster/internal/config"
	"github.com/spf13/cobra"
)

type importCommand struct {
	file        string
	environment string
	stdout      *os.File
	stderr      *os.File
}

func newImport(stdout, stderr *os.File) *cobra.Command {
	i := &importCommand{stdout: stdout, stderr: stderr}
	pm2 := &cobra.Command{
		Use:   "pm2 [FILE]",
		Short: "Write a muster.yaml of what PM2 runs",
		Long: `Write a muster.yaml of what PM2 runs: of FILE, which is an ecosystem file or a dump.pm2, or else of what pm2 save has written last.

A dump has every variable that the shell had; those that this shell has too are left out. What is different with muster is told on
stderr, and what it cannot do is an error. The file is its owner's alone, for variables may be secrets. One that is there is never
overwritten.`,
		Example: `  pm2 save && muster import pm2
  muster import pm2 ecosystem.config.js --environment production
  muster import pm2 -o - | less`,
		Args: nameArgument,
		RunE: func(_ *cobra.Command, args []string) error { return i.run(args) },
	}
	pm2.Flags().StringVarP(&i.file, "output", "o", "muster.yaml", "`FILE` to write; - is the standard output")
	pm2.Flags().StringVarP(&i.environment, "environment", "e", "", "of an ecosystem file: the `ENVIRONMENT` that counts, as env_production")
	cmd := &cobra.Command{
		Use: "import", Short: "Write an app file of what another process manager runs",
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{cmd.CommandPath() + " takes the name of the process manager", "muster import pm2"}
		},
	}
	cmd.AddCommand(pm2)
	return cmd
}

func (i *importCommand) run(args []string) error {
	if err := i.refuseOld(); err != nil {
		return err
	}
	entries, notes, err := i.load(args)
	for _, n := range notes {
		fmt.Fprintln(i.stderr, "muster: "+n.String())
	}
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return &failure{message: "PM2 has saved no app", hint: "start them, and then: pm2 save", code: exitNotFound}
	}
	if err := i.fromHere(entries); err != nil {
		return err
	}
	text, err := config.Write(entries)
	if err != nil {
		return err
	}
	if i.file == "-" {
		_, err = i.stdout.Write(text)
		return err
	}
	if err := writeNew(i.file, text); err != nil {
		return err
	}
	names := make([]string, len(entries))
	for n, e := range entries {
		names[n] = e.Name
	}
	_, err = fmt.Fprintf(i.stdout, "wrote %s: %s; look it through, then: muster check %s\n", i.file, strings.Join(names, ", "), i.file)
	return err
}

func (i *importCommand) refuseOld() error {
	if _, err := os.Lstat(i.file); i.file == "-" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &failure{message: i.file + " is there already", hint: "name another with -o, or move it away", code: exitFailed}
}

// load reads the file that is named, or what pm2 save has written.
func (i *importCommand) load(args []string) ([]config.Entry, []config.Note, error) {
	if len(args) > 0 && !isDump(args[0]) {
		return config.Load(args[0], config.Options{Environment: i.environment})
	}
	if i.environment != "" {
		return nil, nil, &usageError{"--environment is for an ecosystem file: what was saved has one already", "name a file"}
	}
	file := filepath.Join(pm2Home(), "dump.pm2")
	if len(args) > 0 {
		file = args[0]
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &failure{message: "PM2 has saved nothing: there is no " + file, hint: "pm2 save writes it; or name an ecosystem file", code: exitNotFound}
	}
	return config.LoadDump(file, config.Options{})
}

func isDump(file string) bool { return strings.Contains(filepath.Base(file), ".pm2") }

// pm2Home is where PM2 keeps its files.
func pm2Home() string {
	if home := os.Getenv("PM2_HOME"); home != "" {
		return home
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".pm2")
}

// fromHere makes relative names count from the folder of the file that is written.
func (i *importCommand) fromHere(entries []config.Entry) error {
	dir, err := filepath.Abs(filepath.Dir(i.file)) // that of - is the current one, too
	if err != nil {
		return err
	}
	for n := range entries {
		e := &entries[n]
		if e.Base != dir && !filepath.IsAbs(e.Cwd) {
			e.Cwd = filepath.Join(e.Base, e.Cwd)
		}
		e.Base = dir
	}
	return nil
}

// writeNew writes a file that is not there yet, for its owner alone. Nothing of it stays behind where that fails.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the app file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the app file: %w", err), os.Remove(path))
	}
	return nil
}
