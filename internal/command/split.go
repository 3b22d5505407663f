package command

import (
	"fmt"
	"strings"
)

const shellHint = `put it into quotes to pass it as it is, or run a shell: ["sh", "-c", "…"]`

// Words splits a command line into the words that a shell would give to the program. What only a shell can do, several commands,
// pipes, expansions, is an *app.Error; so is a line without a program. Variables that are set before the program become the words
// of env(1), which Resolve looks through.
func Words(text string) ([]string, error) {
	l := scan(text)
	switch {
	case l.open:
		return nil, fault(text, "a quote is not closed", `close it, or write a backslash before a quote that stands for itself`)
	case !l.simple:
		return nil, fault(text, "is more than one program with its arguments", `run a shell: ["sh", "-c", "…"]`)
	case !l.literal:
		return nil, fault(text, fmt.Sprintf("%c means something to a shell, and there is none", l.special), shellHint)
	}
	words, set := texts(l.program()), texts(l.assignments())
	switch {
	case len(words) == 0:
		return nil, fault(strings.TrimSpace(text), "names no program", "name a file or a program to run")
	case len(set) > 0:
		return append(append([]string{"env"}, set...), words...), nil
	}
	return words, nil
}

// Line splits a command line as Words does, and has a shell run one that needs it: in its place, if the line is one command.
func Line(text string) ([]string, error) {
	words, err := Words(text)
	l := scan(text)
	switch {
	case err == nil || l.open || l.simple && len(l.program()) == 0:
		return words, err
	case !l.simple || needsShell(l.program()[0].text):
		return []string{"sh", "-c", text}, nil
	}
	return []string{"sh", "-c", withExec(text, l)}, nil
}
