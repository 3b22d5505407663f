package launch

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/account"
	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/command"
	"github.com/musterd/muster/internal/envfile"
	"github.com/musterd/muster/internal/notify"
)

// variables is an environment under construction, each name once.
type variables map[string]string

// environment returns the host's environment, without what the app drops of it, with the app's files over it, later ones over earlier, and the app's own variables over
// those. Of an account that is not the host's it has the names and the home directory, instead of the host's.
func environment(a app.App, who *account.Account, host []string, dir string) (variables, error) {
	env := variables{}
	for _, entry := range notify.CleanEnv(host) {
		if !isDropped(a.EnvDrop, entry) {
			env.put(entry)
		}
	}
	env.belongTo(who)
	for _, name := range a.EnvFile {
		values, err := readFile(name, dir, env)
		if err != nil {
			return nil, err
		}
		maps.Copy(env, values)
	}
	maps.Copy(env, a.Env)
	return env, nil
}

// belongTo puts in what login sets.
func (v variables) belongTo(who *account.Account) {
	if who == nil || who.Home == "" { // a group alone
		return
	}
	v["HOME"] = who.Home
	for _, name := range []string{"USER", "LOGNAME"} {
		delete(v, name)
		if who.Name != "" {
			v[name] = who.Name
		}
	}
}

// isDropped tells whether one of the patterns matches the name of the variable. Without PATH no program would be found.
func isDropped(patterns []string, entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return name != "PATH" && slices.ContainsFunc(patterns, func(pattern string) bool {
		is, err := path.Match(pattern, name)
		return is && err == nil
	})
}

func readFile(name, dir string, env variables) (map[string]string, error) {
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &app.Error{Field: "env_file", Value: name, Reason: readReason(err), Hint: readHint(err)}
	}
	return envfile.Parse(name, string(data), func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}

func readReason(err error) string {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

func readHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "let the user that runs muster read it: chown or chmod"
	case errors.Is(err, fs.ErrNotExist):
		return "a relative path counts from the working directory, see --cwd"
	}
	return "name a file of lines NAME=value"
}

func (v variables) put(entry string) {
	if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
		v[name] = value
	}
}

// of returns the environment for a command, sorted: with what its script sets, its directories first in PATH, and its directory in PWD.
func (v variables) of(cmd command.Command) []string {
	env := maps.Clone(v)
	env["PWD"] = cmd.Dir
	for _, entry := range cmd.Env {
		if !perWorker(entry) {
			env.put(entry)
		}
	}
	if len(cmd.PrependPath) > 0 {
		dirs := slices.Clone(cmd.PrependPath)
		if old := env["PATH"]; old != "" {
			dirs = append(dirs, old)
		}
		env["PATH"] = strings.Join(dirs, string(filepath.ListSeparator))
	}
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// assigned is what the command itself sets, as `env NAME={fd} program` does, and what is different for each worker.
func assigned(cmd command.Command) []string {
	return slices.DeleteFunc(slices.Clone(cmd.Env), func(entry string) bool { return !perWorker(entry) })
}

// perWorker tells whether an assignment holds a placeholder. npm's own variables tell the text of the script as it was written.
func perWorker(entry string) bool {
	return app.HasPlaceholders([]string{entry}) && !strings.HasPrefix(entry, "npm_")
}
