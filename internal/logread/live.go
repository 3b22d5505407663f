package logread

import (
	"context"
	"io"
	"iter"
	"slices"
)

// Live reads the lines of an app that has no files: those behind a position, and the position behind them. With follow they do not end before the
// app does.
type Live func(ctx context.Context, since int64, follow bool) (lines io.ReadCloser, next int64, err error)

// stream is where a Live source stands.
type stream struct {
	source Source
	next   int64
}

// past returns the last lines that are still known.
func (s *stream) past(ctx context.Context, q Query) (iter.Seq[Line], error) {
	body, next, err := s.source.Live(ctx, -1, false)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	last := lastOf{n: q.Last}
	err = eachLine(body, func(raw []byte) bool {
		if l := Parse(raw, s.source.App); q.keeps(l) {
			last.add(l)
		}
		return true
	})
	s.next = next
	return slices.Values(last.all()), ignoreEnd(err)
}

func ignoreEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // that of a reader
		return nil
	}
	return err
}

// follow sends the lines that come, until the app ends or ctx does.
func (s *stream) follow(ctx context.Context, q Query, lines chan<- Line) {
	for ctx.Err() == nil {
		body, _, err := s.source.Live(ctx, s.next, true)
		if err != nil {
			return // the app has ended
		}
		came := int64(0)
		_ = eachLine(body, func(raw []byte) bool { // its end is that of the master, or of its program by an upgrade
			came += int64(len(raw)) + 1
			if l := Parse(raw, s.source.App); q.keeps(l) {
				select {
				case lines <- l:
				case <-ctx.Done():
				}
			}
			return ctx.Err() == nil
		})
		_ = body.Close()
		s.next += came
	}
}
