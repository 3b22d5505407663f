package cli

import (
	"strconv"

	"github.com/musterd/muster/internal/app"
	"github.com/spf13/pflag"
)

// logFlags are the fields of a spec that say where lines go.
func logFlags(f *pflag.FlagSet, s *app.Spec) {
	formatFlag(f, s)
	choice(f, &s.LogTimestamps, "log-timestamps", "each line of text begins with its time (default: in files)")
	f.StringVar(&s.LogDir, "log-dir", "", "`DIR` of log files, for what workers write (default: none, it goes to the standard output)")
	word(f, &s.LogFiles, "log-files", app.LogFilesApp, "the files there: app (one), stream (one for stdout, one for stderr) or worker (one for each slot)")
	f.StringVar(&s.LogOut, "log-out", "", "`FILE` for stdout of the workers, wherever the folder is")
	f.StringVar(&s.LogErr, "log-err", "", "`FILE` for stderr of the workers")
	choice(f, &s.LogRotate, "log-rotate", "put full log files aside; =false leaves that to somebody else, who sends USR1 (default true)")
	f.Var(&s.LogMaxSize, "log-max-size", "how large a log file becomes")
	f.Lookup("log-max-size").DefValue = app.DefaultLogMaxSize.String()
	f.Var(&s.LogRotateEvery, "log-rotate-every", "how old a log file becomes (default 7d)")
	f.IntVar(&s.LogKeep, "log-keep", 0, "how many old files are kept of each (default 10)")
	f.Var(&s.LogMaxAge, "log-max-age", "and for how long (default 30d)")
	choice(f, &s.LogCompress, "log-compress", "compress old files (default true)")
}

func formatFlag(f *pflag.FlagSet, s *app.Spec) {
	word(f, &s.LogFormat, "log-format", app.LogFormatText, "the form of each line: text, json, or raw (as the worker wrote it)")
}

// choice is a flag for a field that is true, false or not given.
func choice(f *pflag.FlagSet, field **bool, name, usage string) {
	f.Var(&choiceValue{field}, name, usage)
	f.Lookup(name).NoOptDefVal = "true"
}

type choiceValue struct{ field **bool }

func (v *choiceValue) String() string {
	if v.field == nil || *v.field == nil {
		return ""
	}
	return strconv.FormatBool(**v.field)
}

func (v *choiceValue) Set(text string) error {
	yes, err := strconv.ParseBool(text)
	if err != nil {
		return &app.Error{Reason: "is neither true nor false", Hint: "write true or false"}
	}
	*v.field = &yes
	return nil
}

func (v *choiceValue) Type() string { return "bool" }
