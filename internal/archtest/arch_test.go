package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// eachOwn calls f for every package of the module on every operating system.
func eachOwn(t *testing.T, f func(t *testing.T, g graph, p listed)) {
	t.Helper()
	for _, goos := range systems {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			g := load(t, goos)
			for _, path := range slices.Sorted(maps.Keys(g)) {
				if g[path].own() {
					f(t, g, g[path])
				}
			}
		})
	}
}

func TestImportsFollowTheRules(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, g graph, p listed) {
		r, ok := rules[p.name()]
		if !ok {
			t.Errorf("%s has no entry in rules", p.name())
			return
		}
		for _, path := range p.Imports {
			if !r.allows(g[path]) {
				t.Errorf("%s must not import %s", p.name(), path)
			}
		}
	})
}

func (r rule) allows(to listed) bool {
	switch {
	case to.own():
		return slices.Contains(r.own, to.name())
	case to.Standard:
		return r.std == nil || slices.Contains(r.std, to.ImportPath)
	case to.Module == nil:
		return to.ImportPath == "C" || to.ImportPath == "unsafe"
	}
	return slices.Contains(r.modules, to.Module.Path)
}

func TestSomePackagesAreNeverReached(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, g graph, p listed) {
		for _, n := range never {
			if !slices.Contains(n.from, p.name()) {
				continue
			}
			for _, dep := range p.Deps {
				if slices.ContainsFunc(n.to, func(to string) bool { return within(dep, to) }) {
					t.Errorf("%s reaches %s: %s", p.name(), dep, n.why)
				}
			}
		}
	})
}

// within tells whether path is to or below it.
func within(path, to string) bool {
	return path == to || strings.HasPrefix(path, strings.TrimSuffix(to, "/")+"/")
}

func TestPurePackagesReadNoClockAndDoNoIO(t *testing.T) {
	t.Parallel()
	eachFile(t, func(t *testing.T, p listed, name string, file *ast.File) {
		if !slices.Contains(told, p.name()) {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if pkg, fn, ok := selector(n); ok && impure(pkg, fn) {
				t.Errorf("%s/%s: %s.%s", p.name(), name, pkg, fn)
			}
			return true
		})
	})
}

// selector takes pkg.Name apart.
func selector(n ast.Node) (pkg, name string, ok bool) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", "", false
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok || id.Obj != nil {
		return "", "", false
	}
	return id.Name, sel.Sel.Name, true
}

// The linter sees a selector but not the key of a literal.
func TestNoCommandPassesExtraFiles(t *testing.T) {
	t.Parallel()
	eachFile(t, func(t *testing.T, p listed, name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if kv, ok := n.(*ast.KeyValueExpr); ok && isIdent(kv.Key, "ExtraFiles") {
				t.Errorf("%s/%s: ExtraFiles changes O_NONBLOCK for everyone who holds the socket", p.name(), name)
			}
			return true
		})
	})
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// eachFile calls f for every source file of the module that is no test.
func eachFile(t *testing.T, f func(t *testing.T, p listed, name string, file *ast.File)) {
	t.Helper()
	eachOwn(t, func(t *testing.T, _ graph, p listed) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			f(t, p, name, file)
		}
	})
}

func TestDependenciesAreFewAndExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(root(), "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, goos := range systems {
		for _, path := range directModules(load(t, goos)) {
			direct[path] = true
		}
	}
	if len(direct) > maxModules {
		t.Errorf("%d direct dependencies, at most %d: %v", len(direct), maxModules, slices.Sorted(maps.Keys(direct)))
	}
	for path := range direct {
		if !strings.Contains(string(doc), "| `"+path+"` |") {
			t.Errorf("docs/dependencies.md has no line for %s", path)
		}
	}
}

// directModules are the other modules that packages of this one import, their tests included.
func directModules(g graph) []string {
	var paths []string
	for _, p := range g {
		if !p.own() {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if to := g[path]; to.Module != nil && !to.Module.Main {
				paths = append(paths, to.Module.Path)
			}
		}
	}
	return paths
}
