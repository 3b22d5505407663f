package logs

import (
	"bytes"
	"unicode/utf8"
)

const (
	// MaxLine is the longest line in bytes that stays whole. A longer one goes on in parts of that length, or up to three bytes
	// less where that saves a character from being cut in two.
	MaxLine = 64 << 10

	keepCarry = 4 << 10 // of the buffer for an unfinished line
)

// cutter cuts a stream, fed in chunks of any size, into lines. The same stream gives the same lines however it is chunked.
type cutter struct {
	emit  func(line []byte, continued bool) // must not keep line; continued: the line goes on in the next call
	carry []byte                            // the unfinished line, at most MaxLine bytes
}

// feed takes the next chunk of the stream.
func (c *cutter) feed(chunk []byte) {
	for {
		end := bytes.IndexByte(chunk, '\n')
		if end < 0 {
			c.hold(chunk)
			return
		}
		c.finish(chunk[:end])
		chunk = chunk[end+1:]
	}
}

// end takes the end of the stream: an unfinished line is a line.
func (c *cutter) end() {
	if len(c.carry) > 0 {
		c.finish(nil)
	}
}

// finish emits the line that ends with rest.
func (c *cutter) finish(rest []byte) {
	if len(c.carry) == 0 && len(rest) <= MaxLine {
		c.emit(rest, false)
		return
	}
	c.hold(rest)
	c.emit(c.carry, false)
	c.carry = c.carry[:0]
	if cap(c.carry) > keepCarry {
		c.carry = nil
	}
}

// hold adds b to the unfinished line and emits what is too long to hold.
func (c *cutter) hold(b []byte) {
	for len(c.carry)+len(b) > MaxLine {
		n := MaxLine - len(c.carry)
		c.carry = append(c.carry, b[:n]...)
		b = b[n:]
		cut := partEnd(c.carry)
		c.emit(c.carry[:cut], true)
		c.carry = append(c.carry[:0], c.carry[cut:]...)
	}
	c.carry = append(c.carry, b...)
}

// partEnd is where to cut b, not to tear its last character.
func partEnd(b []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		start := len(b) - back
		if utf8.RuneStart(b[start]) {
			if utf8.FullRune(b[start:]) {
				return len(b)
			}
			return start
		}
	}
	return len(b)
}
