package inspector

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// address is what Node prints when its inspector is open.
var address = regexp.MustCompile(`Debugger listening on (ws://\S+)`)

// Address finds the inspector's address in what the process wrote to stderr, the last one if there are several.
func Address(lines []string) (url string, found bool) {
	for _, line := range lines {
		if m := address.FindStringSubmatch(line); m != nil {
			url, found = m[1], true
		}
	}
	return url, found
}

// maxFrames is how much of a stack is told.
const maxFrames = 50

// event is a message of the inspector: that there is a script, or that the main thread was halted.
type event struct {
	Method string `json:"method"`
	Params struct {
		Script     string  `json:"scriptId"`
		URL        string  `json:"url"`
		CallFrames []frame `json:"callFrames"`
	} `json:"params"`
}

// frame is a call as the inspector tells it. Its numbers begin with 0.
type frame struct {
	Function string `json:"functionName"`
	Location struct {
		Script string `json:"scriptId"`
		Line   int    `json:"lineNumber"`
		Column int    `json:"columnNumber"`
	} `json:"location"`
}

// text is the frame as Node writes it in a stack; urls are those of the scripts.
func (f frame) text(urls map[string]string) string {
	script := cmp.Or(strings.TrimPrefix(urls[f.Location.Script], "file://"), "<anonymous>")
	place := fmt.Sprintf("%s:%d:%d", script, f.Location.Line+1, f.Location.Column+1)
	if f.Function == "" {
		return "at " + place
	}
	return fmt.Sprintf("at %s (%s)", f.Function, place)
}

// Stack halts the main thread of the process whose inspector has that address, and returns where it stood, a line for each call, the innermost
// first. The thread goes on when Stack has returned.
func Stack(ctx context.Context, url string) ([]string, error) {
	s, err := dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open inspector: %w", err)
	}
	defer s.close()
	for i, method := range []string{"Debugger.enable", "Debugger.pause"} {
		if err := s.write(fmt.Appendf(nil, `{"id":%d,"method":%q}`, i+1, method)); err != nil {
			return nil, fmt.Errorf("ask inspector for the stack: %w", err)
		}
	}
	urls := map[string]string{}
	for {
		text, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("read stack from inspector: %w", err)
		}
		var e event
		switch err := json.Unmarshal(text, &e); {
		case err != nil:
			return nil, fmt.Errorf("read stack from inspector: %w", err)
		case e.Method == "Debugger.scriptParsed":
			urls[e.Params.Script] = e.Params.URL
		case e.Method == "Debugger.paused":
			return lines(e.Params.CallFrames, urls), nil
		}
	}
}

func lines(frames []frame, urls map[string]string) []string {
	var all []string
	for _, f := range frames[:min(len(frames), maxFrames)] {
		all = append(all, f.text(urls))
	}
	return all
}
