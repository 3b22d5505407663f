package app_test

import (
	"encoding/json"
	"testing"

	"github.com/musterd/muster/internal/app"
	"go.yaml.in/yaml/v3"
)

func TestSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want int64
		out  string
	}{
		{"512M", 512 << 20, "512M"},
		{"512MiB", 512 << 20, "512M"},
		{"512mb", 512 << 20, "512M"},
		{"1.5G", 1536 << 20, "1536M"},
		{"2T", 2 << 40, "2T"},
		{"64k", 64 << 10, "64K"},
		{"1000", 1000, "1000"},
		{"1000B", 1000, "1000"},
		{"1024", 1024, "1K"},
		{" 1G ", 1 << 30, "1G"},
	}
	for _, test := range tests {
		var s app.Size
		if err := s.Set(test.in); err != nil {
			t.Errorf("%q: %v", test.in, err)
		}
		if s.Bytes() != test.want || s.String() != test.out {
			t.Errorf("%q: got %d, printed %q", test.in, s.Bytes(), s)
		}
	}
}

func TestSizeErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, message string }{
		{"", "is not a size"},
		{"M", `"M": is not a size`},
		{"lots", "is not a size"},
		{"-5M", "is not a size"},
		{"1e9", "is not a size"},
		{"5 M", "is not a size"},
		{"1.2.3M", "is not a size"},
		{"0", "must be more than zero"},
		{"9999999T", "is more than any machine has"},
	}
	for _, test := range tests {
		_, err := app.ParseSize(test.in)
		checkError(t, err, test.message, "write a number with a unit")
	}
}

func TestSizeInDocuments(t *testing.T) {
	t.Parallel()
	type document struct {
		S app.Size `json:"s" yaml:"s"`
	}
	for text, want := range map[string]int64{`"512M"`: 512 << 20, "1048576": 1 << 20, `""`: 0, "null": 0} {
		var j, y, back document
		if err := json.Unmarshal([]byte(`{"s":`+text+`}`), &j); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte("s: "+text), &y); err != nil {
			t.Fatal(err)
		}
		if j.S.Bytes() != want || y.S.Bytes() != want {
			t.Errorf("%s: json %d, yaml %d", text, j.S, y.S)
		}
		again, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &back); err != nil || back != j {
			t.Errorf("%s came back as %v, %v", again, back, err)
		}
	}
	for _, bad := range []string{`{"s":0}`, `{"s":"x"}`, `{"s":true}`} {
		var d document
		checkError(t, json.Unmarshal([]byte(bad), &d), "", "write a number with a unit")
	}
}
