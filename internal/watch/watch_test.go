package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterd/muster/internal/testutil"
	"github.com/musterd/muster/internal/watch"
)

// place is a folder with a watcher on something in it.
type place struct {
	t       *testing.T
	dir     string
	changes chan string
}

func watched(t *testing.T, dir string, paths []string, ignore ...string) *place {
	t.Helper()
	p := &place{t: t, dir: dir, changes: make(chan string, 1000)}
	for i := range paths {
		paths[i] = filepath.Join(dir, paths[i])
	}
	failed := func(err error) { t.Errorf("watch failed: %v", err) }
	w, err := watch.New(watch.Options{Paths: paths, Ignore: ignore}, func(path string) { p.changes <- path }, failed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return p
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *place) write(name string) { write(p.t, filepath.Join(p.dir, name)) }

// next waits for a change whose path is one of names, and fails at any that ends with never.
func (p *place) next(never string, names ...string) {
	p.t.Helper()
	for {
		select {
		case path := <-p.changes:
			if never != "" && strings.Contains(strings.TrimPrefix(path, p.dir), never) {
				p.t.Fatalf("%s counted", path)
			}
			for _, name := range names {
				if path == filepath.Join(p.dir, name) {
					return
				}
			}
		case <-testutil.Context(p.t).Done():
			p.t.Fatalf("no change of %v in time", names)
		}
	}
}

func TestChangesBelowAFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	write(t, filepath.Join(dir, "src/deep/a.js"))
	p := watched(t, dir, []string{"."})
	p.write("src/deep/a.js")
	p.next("", "src/deep/a.js")

	p.write("lib/new/b.js") // folders that are new
	p.next("", "lib", "lib/new", "lib/new/b.js")
	p.write("lib/new/c.js")
	p.next("", "lib/new/c.js")

	must(t, os.Rename(filepath.Join(dir, "src/deep/a.js"), filepath.Join(dir, "src/deep/z.js")))
	p.next("", "src/deep/a.js")
	must(t, os.Remove(filepath.Join(dir, "src/deep/z.js")))
	p.next("", "src/deep/z.js")
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, name := range []string{"node_modules/x/index.js", ".git/HEAD", "dist/out.js", "public/assets/a.css", "a.js"} {
		write(t, filepath.Join(dir, name))
	}
	p := watched(t, dir, []string{"."}, "dist", "*.log", "public/assets/")
	for i, name := range []string{
		"node_modules/x/index.js", ".git/HEAD", "dist/out.js", "dist/deep/more.js", "public/assets/a.css", "x.log", "logs/y.log", ".a.js.swp", "a.js~", "4913",
	} {
		p.write(name)
		p.write("a.js")
		p.next(filepath.Base(name), "a.js")
		if i == 0 {
			p.write("public/b.css")
			p.next("", "public/b.css")
		}
	}
	must(t, os.Chmod(filepath.Join(dir, "public/b.css"), 0o600)) // no change of what it holds
	p.write("a.js")
	p.next("b.css", "a.js")
}

func TestOneFileAsEditorsSaveIt(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	write(t, filepath.Join(dir, "app.js"))
	p := watched(t, dir, []string{"app.js"})
	for range 3 { // each save replaces the file that was watched
		p.write("app.js.tmp")
		must(t, os.Rename(filepath.Join(dir, "app.js.tmp"), filepath.Join(dir, "app.js")))
		p.next("tmp", "app.js")
	}
	must(t, os.Rename(filepath.Join(dir, "app.js"), filepath.Join(dir, "app.js~"))) // vim's backup first
	p.write("app.js")
	p.next("~", "app.js")
	p.write("other.js")
	p.write("app.js")
	p.next("other", "app.js")
}

func TestWhatComesLater(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := watched(t, dir, []string{"build/out"})
	p.write("other/x")
	p.write("build/note")
	p.write("build/out/main.js")
	p.follow("other", "build/out")

	must(t, os.RemoveAll(filepath.Join(dir, "build"))) // and again
	p.write("build/out/main.js")
	p.follow("other", "build/out")
}

// follow writes files in a folder that is new, until one of them is told by its name: before that, the folder is what is new.
func (p *place) follow(never, dir string) {
	p.t.Helper()
	for i := 0; ; i++ {
		p.write(fmt.Sprintf("%s/more-%d.js", dir, i))
		select {
		case path := <-p.changes:
			if strings.Contains(path, never) {
				p.t.Fatalf("%s counted", path)
			}
			if strings.HasPrefix(filepath.Base(path), "more-") {
				return
			}
		case <-testutil.Context(p.t).Done():
			p.t.Fatalf("no change below %s in time", dir)
		}
	}
}

func TestLinkThatIsSetToAnotherRelease(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	write(t, filepath.Join(dir, "releases/1/a.js"))
	write(t, filepath.Join(dir, "releases/2/a.js"))
	must(t, os.Symlink("releases/1", filepath.Join(dir, "current")))
	p := watched(t, dir, []string{"current"})
	p.write("releases/1/a.js")
	p.next("", "releases/1/a.js")
	must(t, os.Symlink("releases/2", filepath.Join(dir, "next")))
	must(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
	p.next("", "current")
	p.write("releases/2/a.js")
	p.next("", "releases/2/a.js")
}

func TestBurst(t *testing.T) {
	t.Parallel()
	const delay = 100 * time.Millisecond
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b watch.Burst
	if _, any := b.Over(delay); any {
		t.Error("a burst without a change")
	}
	b.Add("a", start)
	b.Add("b", start.Add(90*time.Millisecond))
	if over, _ := b.Over(delay); !over.Equal(start.Add(190*time.Millisecond)) || b.Path != "a" || b.Count != 2 {
		t.Errorf("over at %v, %+v", over.Sub(start), b)
	}
	for at := time.Duration(0); at < time.Minute; at += 50 * time.Millisecond {
		b.Add("log", start.Add(at))
	}
	if over, _ := b.Over(delay); !over.Equal(start.Add(2500 * time.Millisecond)) {
		t.Errorf("a file that is written all the time holds the others up for %v", over.Sub(start))
	}
}
