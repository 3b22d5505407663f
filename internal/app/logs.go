package app

import (
	"path"
	"strconv"
	"time"
)

// LogFiles names the way in which lines spread over the files of a log folder.
type LogFiles string

// The ways to spread lines.
const (
	LogFilesApp    LogFiles = "app"    // all in out.log
	LogFilesStream LogFiles = "stream" // stdout in out.log, stderr in err.log
	LogFilesWorker LogFiles = "worker" // a file per slot: 0.log, 1.log
)

// LogFormat names the form of a line.
type LogFormat string

// The forms of a line.
const (
	LogFormatText LogFormat = "text" // who wrote it, and then the line
	LogFormatJSON LogFormat = "json" // an object
	LogFormatRaw  LogFormat = "raw"  // the line alone
)

// Check refuses what is no form.
func (f LogFormat) Check() error {
	return oneOf("log_format", f, LogFormatText, LogFormatJSON, LogFormatRaw)
}

// What New completes an empty field with that is about logs.
const (
	DefaultLogMaxSize     = Size(10 << 20)
	DefaultLogRotateEvery = Duration(7 * 24 * time.Hour)
	DefaultLogKeep        = 10
	DefaultLogMaxAge      = Duration(30 * 24 * time.Hour)
)

func (s Spec) cloneLogs() Spec {
	for _, field := range []**bool{&s.LogTimestamps, &s.LogRotate, &s.LogCompress} {
		if *field != nil {
			value := **field
			*field = &value
		}
	}
	return s
}

func (s *Spec) completeLogs() {
	setDefault(&s.LogFiles, LogFilesApp)
	setDefault(&s.LogFormat, LogFormatText)
	setDefault(&s.LogMaxSize, DefaultLogMaxSize)
	setDefault(&s.LogRotateEvery, DefaultLogRotateEvery)
	setDefault(&s.LogKeep, DefaultLogKeep)
	setDefault(&s.LogMaxAge, DefaultLogMaxAge)
}

func (s *Spec) checkLogs() error {
	if err := oneOf("log_files", s.LogFiles, LogFilesApp, LogFilesStream, LogFilesWorker); err != nil {
		return err
	}
	if err := s.LogFormat.Check(); err != nil {
		return err
	}
	switch {
	case s.LogMaxSize < 0:
		return invalid("log_max_size", s.LogMaxSize.String(), "must be more than zero", sizeHint)
	case s.LogRotateEvery < 0:
		return invalid("log_rotate_every", s.LogRotateEvery.String(), "must be longer than zero", durationHint)
	case s.LogMaxAge < 0:
		return invalid("log_max_age", s.LogMaxAge.String(), "must be longer than zero", durationHint)
	case s.LogKeep < 0:
		return invalid("log_keep", strconv.Itoa(s.LogKeep), "must not be negative", "write how many old files are kept; 10 is the default")
	}
	return nil
}

// logsIn takes the relative paths of log files from dir.
func (s Spec) logsIn(dir string) Spec {
	for _, field := range []*string{&s.LogDir, &s.LogOut, &s.LogErr} {
		if *field != "" && !path.IsAbs(*field) {
			*field = path.Join(dir, *field)
		}
	}
	return s
}
