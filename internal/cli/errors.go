package cli

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/client"
	"github.com/musterd/muster/internal/apiserver"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/envfile"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that makes no sense.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

// failure is an error that knows its hint and its exit code.
type failure struct {
	message, hint string
	code          int
}

func (e *failure) Error() string { return e.message }

// explain returns an error's text, its hint and the exit code for it.
func explain(cmd *cobra.Command, err error) (message, hint string, code int) {
	if e, ok := errors.AsType[*usageError](err); ok {
		return e.message, e.hint, exitUsage
	}
	if e, ok := errors.AsType[*failure](err); ok {
		return e.message, e.hint, e.code
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Message, e.Hint, exitOf(e.Kind)
	}
	if errors.Is(err, client.ErrUnreachable) {
		return err.Error(), "", exitUnreachable
	}
	if e, ok := errors.AsType[*config.NotFound](err); ok {
		return err.Error(), e.Hint(), exitNotFound
	}
	if e, ok := errors.AsType[hinter](err); ok {
		return err.Error(), e.Hint(), exitFailed
	}
	if e, ok := errors.AsType[*app.Error](err); ok {
		return specMessage(cmd, err), e.Hint, exitUsage
	}
	if e, ok := errors.AsType[*envfile.Error](err); ok {
		return err.Error(), e.Hint, exitUsage
	}
	return err.Error(), apiserver.HintOf(err), exitFailed
}

// hinter is an error that knows what to do about it.
type hinter interface {
	error
	Hint() string
}

func exitOf(kind api.Kind) int {
	switch kind {
	case api.KindUsage:
		return exitUsage
	case api.KindNotFound:
		return exitNotFound
	case api.KindForbidden, api.KindConflict, api.KindInternal, api.KindUnsupported, api.KindUnavailable:
	}
	return exitFailed
}

// specMessage calls a field of the spec by the name of its flag, if it has one.
func specMessage(cmd *cobra.Command, err error) string {
	e, plain := err.(*app.Error) //nolint:errorlint // only an error that nothing was put before begins with the field
	flag := ""
	if plain {
		flag = strings.ReplaceAll(e.Field, "_", "-")
	}
	if flag == "" || cmd == nil || cmd.Flags().Lookup(flag) == nil {
		return err.Error()
	}
	shown := *e
	shown.Field = "--" + flag
	return shown.Error()
}

// flagError makes one clear message of what pflag says.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return unknownFlag(cmd, e)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return &usageError{flagNames(e.GetFlag()) + " needs a value", seeHelp(cmd)}
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return invalidValue(cmd, e)
	}
	return &usageError{err.Error(), seeHelp(cmd)}
}

func seeHelp(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

func flagNames(f *pflag.Flag) string {
	if f.Shorthand == "" {
		return "--" + f.Name
	}
	return "-" + f.Shorthand + ", --" + f.Name
}

func invalidValue(cmd *cobra.Command, e *pflag.InvalidValueError) error {
	wrong := app.Error{Field: "--" + e.GetFlag().Name, Value: e.GetValue(), Reason: e.Unwrap().Error(), Hint: seeHelp(cmd)}
	if cause, ok := errors.AsType[*app.Error](e); ok {
		wrong.Reason, wrong.Hint = cause.Reason, cause.Hint
	}
	if _, ok := errors.AsType[*strconv.NumError](e); ok {
		wrong.Reason = "is not a whole number"
	}
	return &wrong
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	name := e.GetSpecifiedName()
	if e.GetSpecifiedShortnames() != "" {
		return &usageError{"unknown flag -" + name, cmp.Or(pm2Shorthands[name], seeHelp(cmd))}
	}
	hint := seeHelp(cmd)
	if use, ok := pm2Hints[name]; ok && canStart(cmd) {
		hint = use
	} else if near, ok := app.Nearest(name, flagsOf(cmd)); ok {
		hint = "did you mean --" + near + "?"
	}
	return &usageError{"unknown flag --" + name, hint}
}

func flagsOf(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// unknownCommand refuses what the root command was given: its arguments are commands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{"unknown command " + args[0], commandHint(cmd, args[0])}
}

func commandHint(cmd *cobra.Command, word string) string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	near, ok := app.Nearest(word, names)
	_, err := os.Stat(word)
	switch {
	case ok:
		return "did you mean muster " + near + "?"
	case err == nil:
		return "to run a file: muster run " + word
	}
	slices.Sort(names)
	return "the commands are " + strings.Join(names, ", ")
}

// noArguments is for commands that take none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{cmd.CommandPath() + " takes no argument, got " + args[0], seeHelp(cmd)}
}
