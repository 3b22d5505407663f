package archtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct {
		Path string
		Main bool
	}
	GoFiles      []string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
}

// name is the path of a package of this module below its root.
func (p listed) name() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func (p listed) own() bool { return p.Module != nil && p.Module.Main }

// graph is every package that those of this module need, by import path.
type graph map[string]listed

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// systems are the operating systems whose files are looked at.
var systems = []string{"linux", "darwin"}

var graphs = map[string]func() (graph, error){
	"linux":  sync.OnceValues(func() (graph, error) { return list("linux") }),
	"darwin": sync.OnceValues(func() (graph, error) { return list("darwin") }),
}

// load returns the graph of an operating system, tests' needs included.
func load(t *testing.T, goos string) graph {
	t.Helper()
	g, err := graphs[goos]()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func list(goos string) (graph, error) {
	fields := "ImportPath,Dir,Standard,Module,GoFiles,Imports,Deps,TestImports,XTestImports"
	cmd := exec.Command("go", "list", "-deps", "-test", "-json="+fields, "./...")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			return nil, err
		}
		if !variant(p.ImportPath) {
			g[p.ImportPath] = p
		}
	}
	return g, nil
}

// variant tells whether the import path is that of a package built for a test.
func variant(path string) bool {
	return strings.Contains(path, " [") || strings.HasSuffix(path, ".test")
}
