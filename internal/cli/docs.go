package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/musterd/muster/internal/app"
	"github.com/musterd/muster/internal/config"
	"github.com/spf13/pflag"
)

// SchemaJSON is the JSON Schema of muster.yaml, as it is published.
func SchemaJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(appFileSchema())
	return b.Bytes(), err
}

// appFileSchema is the JSON Schema of muster.yaml: what its keys mean is what the flags of the same names do.
func appFileSchema() map[string]any {
	return config.Schema(func(key string) string { return describe(key).usage })
}

// KeysMarkdown is a table of the keys of an app.
func KeysMarkdown() string {
	var b strings.Builder
	b.WriteString("| key | takes | default | means |\n|---|---|---|---|\n")
	for _, f := range config.Fields() {
		d := describe(f.Name)
		takes := f.Kind
		if len(f.Choices) > 0 {
			takes = strings.Join(f.Choices, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, takes, d.otherwise, strings.ReplaceAll(d.usage, "|", "\\|"))
	}
	return b.String()
}

// description is what a key of an app means.
type description struct{ usage, otherwise string }

// describe takes the meaning of a key from the flag of its name.
func describe(key string) description {
	switch key {
	case "command":
		return description{usage: "what to run: a line, or a list of words"}
	case "watch":
		return description{usage: "reload when files change: true for the app's folder, or files and folders"}
	}
	var spec app.Spec
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	specFlags(flags, &spec)
	f := flags.Lookup(strings.ReplaceAll(key, "_", "-"))
	if f == nil {
		return description{}
	}
	d := description{usage: strings.NewReplacer("`", "", " (repeatable)", "").Replace(config.WithoutFlags(f.Usage)), otherwise: f.DefValue}
	if i := strings.LastIndex(d.usage, " (default"); i >= 0 && strings.HasSuffix(d.usage, ")") {
		d.usage, d.otherwise = d.usage[:i], strings.TrimLeft(d.usage[i+len(" (default"):len(d.usage)-1], ": ")
	}
	if slices.Contains([]string{"[]", "0", "0s", "false"}, d.otherwise) {
		d.otherwise = ""
	}
	return d
}
