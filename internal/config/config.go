package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/envfile"
	"github.com/musterd/muster/internal/order"
)

// Entry is an app of a file.
type Entry struct {
	app.Spec          // as it was written; it has a name, and app.New accepts it
	Base     string   // absolute directory from which its relative names count: that of the file
	FileForm bool     // the command may begin with a file that an interpreter runs
	At       Position // of the app

	order  int              // of the file
	fields map[string]place // where a field was written, by its JSON name
}

// Options are what a file is read with.
type Options struct {
	Environment string                           // of the environments of the apps: the one that counts; empty: none
	Only        []string                         // names of the apps that are wanted; nil: all
	WithNeeds   bool                             // those that the wanted ones depend on are wanted, too
	Lookup      func(name string) (string, bool) // answers for ${NAME}; nil: os.LookupEnv
}

// Load reads the apps of the file; for a folder, of the file that Find finds there. The error is an Errors with everything that is wrong,
// or that of finding the file; with an Errors come the apps that are right.
func Load(file string, o Options) ([]Entry, []Note, error) {
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the app file %s: %s", file, reasonOf(err))
	case info.IsDir():
		if file, err = Find(file); err != nil {
			return nil, nil, err
		}
	}
	r := &reader{Options: o, environments: map[string]bool{}}
	r.load(file, Position{File: file})
	r.checkNames()
	r.checkOrder()
	r.checkEnvironment(file)
	entries := r.chosen(file)
	for _, e := range r.errs {
		e.order = slices.Index(r.files, e.File)
	}
	for i, e := range entries {
		entries[i].order = slices.Index(r.files, e.At.File)
	}
	if len(r.errs) > 0 {
		return entries, r.notes, Errors(r.errs).Sorted()
	}
	return entries, r.notes, nil
}

// Refuse is err, which is about the app, with the place in the file of what it is about.
func (e Entry) Refuse(err error) *Error {
	refused := &Error{Position: e.At, Reason: err.Error(), order: e.order}
	if wrong, ok := errors.AsType[*envfile.Error](err); ok {
		refused.Position, refused.Hint = e.place("env_file").Position, wrong.Hint
	}
	if wrong, ok := errors.AsType[*app.Error](err); ok {
		refused.Position, refused.Hint = e.placeOf(wrong), WithoutFlags(wrong.Hint)
	}
	return refused
}

// placeOf is where that stands which is wrong: the item of a list, the field, or else the app.
func (e Entry) placeOf(wrong *app.Error) Position {
	where := e.place(wrong.Field)
	if item, ok := where.items[wrong.Value]; ok {
		return item
	}
	return where.Position
}

// reader gathers what the files say.
type reader struct {
	Options
	files        []string // in the order in which they were opened, as errors name them
	stack        []string // absolute paths of those that are being read
	entries      []Entry
	notes        []Note
	errs         []*Error
	environments map[string]bool // that some app has
	aliases      int             // that were followed
	isDry        bool            // what is read does not count: variables need not be set
}

// fail takes down that something is wrong.
func (r *reader) fail(at Position, reason, hint string) {
	r.errs = append(r.errs, &Error{Position: at, Reason: reason, Hint: hint})
}

func (r *reader) note(at Position, text string) {
	r.notes = append(r.notes, Note{Position: at, Text: text})
}

// load reads a file, which from says to read.
func (r *reader) load(file string, from Position) {
	path, err := filepath.Abs(file)
	if err != nil {
		r.fail(from, err.Error(), "")
		return
	}
	if i := slices.Index(r.stack, path); i >= 0 {
		r.fail(from, "files include each other: "+strings.Join(r.names(append(r.stack[i:], path)), " includes "), "take one of the includes out")
		return
	}
	if slices.Contains(r.files, file) {
		r.fail(from, file+" is included twice", "take one of the includes out")
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.fail(from, "read "+file+": "+reasonOf(err), "a relative name counts from the folder of the file that has it")
		return
	}
	r.files = append(r.files, file)
	r.stack = append(r.stack, path)
	defer func() { r.stack = r.stack[:len(r.stack)-1] }()
	s := &source{reader: r, file: file, dir: filepath.Dir(path)}
	s.read(data)
}

// names are paths as short as they can be told apart.
func (r *reader) names(paths []string) []string {
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = path
		if rel, err := filepath.Rel(filepath.Dir(r.stack[0]), path); err == nil {
			names[i] = rel
		}
	}
	return names
}

// checkNames refuses two apps of one name.
func (r *reader) checkNames() {
	first := map[string]Position{}
	for _, e := range r.entries {
		if at, taken := first[e.Name]; taken {
			r.fail(e.place("name").Position, fmt.Sprintf("two apps are called %s: the other stands at %s", e.Name, at), "give one of them another name")
			continue
		}
		first[e.Name] = e.At
	}
}

// checkOrder refuses to wait for what never comes.
func (r *reader) checkOrder() {
	if len(r.errs) > 0 { // one of the apps may be missing for that
		return
	}
	specs := make([]app.Spec, len(r.entries))
	for i, e := range r.entries {
		specs[i] = e.Spec
	}
	wrong := order.Check(specs)
	for _, e := range r.entries {
		for _, err := range wrong[e.Name] {
			r.errs = append(r.errs, e.Refuse(err))
		}
	}
}

// checkEnvironment refuses the name of an environment that no app has.
func (r *reader) checkEnvironment(file string) {
	if r.Environment == "" || r.environments[r.Environment] || len(r.errs) > 0 {
		return
	}
	r.fail(Position{File: file}, "no app has an environment "+r.Environment, nearestOr(r.Environment, sortedKeys(r.environments), "the environments are ", "no app of the file has one: environments: {production: {…}}"))
}

// chosen returns the wanted apps.
func (r *reader) chosen(file string) []Entry {
	names := make([]string, len(r.entries))
	for i, e := range r.entries {
		names[i] = e.Name
	}
	for _, name := range r.Only {
		if !slices.Contains(names, name) && len(r.errs) == 0 {
			r.fail(Position{File: file}, "it has no app "+name, nearestOr(name, names, "its apps are ", "it has none at all"))
		}
	}
	if len(r.Only) == 0 {
		return r.entries
	}
	wanted := order.Graph{}
	if r.WithNeeds {
		for _, e := range r.entries {
			wanted[e.Name] = e.DependsOn
		}
	}
	chosen := wanted.Closure(r.Only)
	return slices.DeleteFunc(r.entries, func(e Entry) bool { return !chosen[e.Name] })
}

// nearestOr is a hint: the nearest of names, else all of them behind the words, else what to say if there are none.
func nearestOr(word string, names []string, words, none string) string {
	if near, ok := app.Nearest(word, names); ok {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return none
	}
	return words + strings.Join(names, ", ")
}
