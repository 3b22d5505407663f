package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newDocs is the command that writes manual pages, for packages of distributions.
func newDocs(stdout *os.File) *cobra.Command {
	docs := &cobra.Command{Use: "docs", Short: "Write the documentation of commands", Hidden: true, Args: unknownCommand}
	man := &cobra.Command{
		Use: "man DIR", Short: "Write a manual page of each command into a folder", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}
	markdown := &cobra.Command{
		Use: "markdown", Short: "Print the reference of all commands", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := stdout.WriteString(commandsMarkdown(cmd.Root()))
			return err
		},
	}
	docs.AddCommand(man, markdown)
	return docs
}

// CommandsMarkdown is the reference of all commands.
func CommandsMarkdown() string { return commandsMarkdown(newRoot(os.Stdout, os.Stderr)) }

// documented are the commands below root, and root, in the order of the help, each before its own.
func documented(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	below := slices.Clone(root.Commands())
	groups := root.Groups()
	place := func(cmd *cobra.Command) int {
		if i := slices.IndexFunc(groups, func(g *cobra.Group) bool { return g.ID == cmd.GroupID }); i >= 0 {
			return i
		}
		return len(groups)
	}
	slices.SortStableFunc(below, func(a, b *cobra.Command) int { return place(a) - place(b) })
	for _, cmd := range below {
		if !cmd.Hidden && cmd.Name() != "help" {
			all = append(all, documented(cmd)...)
		}
	}
	return all
}

// option is a flag as documents describe it.
type option struct{ names, takes, usage, otherwise string }

func optionsOf(cmd *cobra.Command) []option {
	var all []option
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		o := option{names: "--" + f.Name}
		if f.Shorthand != "" {
			o.names = "-" + f.Shorthand + ", " + o.names
		}
		o.takes, o.usage = pflag.UnquoteUsage(f)
		if !slices.Contains([]string{"", "0", "0s", "false", "[]", "-1"}, f.DefValue) && !strings.Contains(o.usage, "(default") {
			o.otherwise = f.DefValue
		}
		all = append(all, o)
	})
	return all
}

// useLine is how a command is written, with its flags.
func useLine(cmd *cobra.Command) string {
	line := cmd.UseLine()
	return strings.TrimSuffix(line, " [flags]") + iff(strings.HasSuffix(line, " [flags]") && len(optionsOf(cmd)) > 0, " [flags]", "")
}

func iff(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// described is the long text about a command, or, without, the short one.
func described(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func commandsMarkdown(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands\n\nThis page is made of what `muster --help` says. Exit codes, and what the commands wait for: [commands for running apps](control.md).\n")
	for _, cmd := range documented(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n```\n", cmd.CommandPath(), described(cmd), useLine(cmd))
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(&b, "\nAlso: `%s`.\n", strings.Join(cmd.Aliases, "`, `"))
		}
		if cmd.Example != "" {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", undented(cmd.Example))
		}
		if options := optionsOf(cmd); len(options) > 0 {
			b.WriteString("\n| flag | takes | default | |\n|---|---|---|---|\n")
			for _, o := range options {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.names, inCell(o.takes), inCell(o.otherwise), inCell(o.usage))
			}
		}
	}
	return b.String()
}

func inCell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// undented is a text whose lines are two blanks to the left.
func undented(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

// writeManual writes a page of each command into a folder, which is made.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, cmd := range documented(root) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(manPage(name, cmd)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
