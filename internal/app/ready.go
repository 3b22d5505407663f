package app

import "strings"

// ParseReady reads a sense of readiness; the empty text is ReadyAuto.
func ParseReady(text string) (Ready, error) {
	kind := ReadyKind(text)
	if kind == "" {
		kind = ReadyAuto
	}
	if err := oneOf("ready", kind, ReadyAuto, ReadyMessage, ReadyNotify, ReadyTCP, ReadyStart); err != nil {
		return Ready{}, err
	}
	return Ready{Kind: kind}, nil
}

// oneOf returns an error unless value is among choices.
func oneOf[T ~string](field string, value T, choices ...T) error {
	names := make([]string, len(choices))
	for i, c := range choices {
		if value == c {
			return nil
		}
		names[i] = string(c)
	}
	hint := "choose one of " + strings.Join(names, ", ")
	if near, ok := Nearest(string(value), names); ok {
		hint = "did you mean " + near + "? The choices are " + strings.Join(names, ", ")
	}
	return invalid(field, string(value), "is not known", hint)
}
