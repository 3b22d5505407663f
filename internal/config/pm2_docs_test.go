package config

import (
	"os"
	"strings"
	"testing"
)

// TestEveryOptionOfPM2IsDocumented: mapped, refused or left out, docs/how-to/from-pm2.md says so.
func TestEveryOptionOfPM2IsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/how-to/from-pm2.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range pm2Table {
		for _, name := range o.names {
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+": ") {
				t.Errorf("from-pm2.md does not tell what becomes of %s", name)
			}
		}
	}
}
