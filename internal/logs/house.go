package logs

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// house looks after the archives of a file: it removes those that are too many or too old, and compresses the others.
type house struct {
	path   string
	rotate Rotation
	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{} // closed when its goroutine has ended
}

// keepHouse starts a goroutine that ends at close.
func keepHouse(path string, r Rotation) *house {
	ctx, cancel := context.WithCancel(context.Background())
	h := &house{path: path, rotate: r, wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	go h.run(ctx)
	return h
}

func (h *house) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// close ends the goroutine, in the middle of a compression if need be: the next one begins it again.
func (h *house) close() {
	h.cancel()
	<-h.done
}

func (h *house) run(ctx context.Context) {
	defer close(h.done)
	h.clear()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-timer.C:
		}
		timer.Stop()
		if due := h.tidy(ctx); due > 0 {
			timer.Reset(due)
		}
	}
}

// clear removes what interrupted compressions have left.
func (h *house) clear() {
	left, _ := filepath.Glob(globQuote(h.path) + ".*" + gzipSuffix + tempSuffix)
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// globQuote takes the meaning from what a pattern would not mean literally.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// tryAgain is when what has failed is tried again.
const tryAgain = time.Minute

// tidy does what is due, and returns in what time more will be; zero: not before the next archive.
func (h *house) tidy(ctx context.Context) time.Duration {
	all, err := Archives(h.path)
	if err != nil {
		return tryAgain
	}
	var next time.Duration
	soon := func(in time.Duration) {
		if next == 0 || in < next {
			next = max(in, time.Millisecond)
		}
	}
	for i, a := range all {
		age := time.Since(a.Closed)
		switch {
		case h.rotate.Keep > 0 && len(all)-i > h.rotate.Keep, h.rotate.MaxAge > 0 && age >= h.rotate.MaxAge:
			_ = os.Remove(a.Path)
			_ = os.Remove(strings.TrimSuffix(a.Path, gzipSuffix))
			continue
		case a.Gzipped:
			_ = os.Remove(strings.TrimSuffix(a.Path, gzipSuffix)) // left by a compression that was interrupted at its very end
		case !h.rotate.Compress:
		case age < h.rotate.CompressAfter:
			soon(h.rotate.CompressAfter - age)
		case compress(ctx, a.Path) != nil:
			soon(tryAgain)
		}
		if h.rotate.MaxAge > 0 {
			soon(h.rotate.MaxAge - age)
		}
		if len(h.wake) > 0 || ctx.Err() != nil { // what is due may have changed
			return time.Millisecond
		}
	}
	return next
}

// compress puts a compressed file in the place of path. Whatever ends it early, one of both is complete.
func compress(ctx context.Context, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path+gzipSuffix+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, modeOf(path))
	if err != nil {
		return err
	}
	err = errors.Join(pack(ctx, out, in), out.Close())
	if _, there := os.Lstat(path); err == nil && there == nil { // it may have been removed meanwhile
		err = os.Rename(out.Name(), path+gzipSuffix)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return err
	}
	_ = os.Remove(out.Name()) // where there was nothing to replace
	return os.Remove(path)
}

func pack(ctx context.Context, out io.Writer, in io.Reader) error {
	w, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, &cancellable{ctx, in}); err != nil {
		return err
	}
	return w.Close()
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
