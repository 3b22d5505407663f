package logs

import (
	"encoding/binary"
	"unicode/utf8"
)

// appendJSON adds s to b as the inside of a JSON string. A byte that is not UTF-8 becomes U+FFFD.
func appendJSON(b, s []byte) []byte {
	done := 0
	for i := plainLen(s); i < len(s); i += plainLen(s[i:]) {
		if _, size := utf8.DecodeRune(s[i:]); size > 1 {
			i += size
			continue
		}
		b = append(b, s[done:i]...)
		b = appendEscape(b, s[i])
		i++
		done = i
	}
	return append(b, s[done:]...)
}

// plainLen counts the characters at the beginning of s that are ASCII and stand for themselves in a JSON string.
func plainLen(s []byte) int {
	n := 0
	for n+8 <= len(s) && plainWord(binary.LittleEndian.Uint64(s[n:])) {
		n += 8
	}
	for n < len(s) && plain(s[n]) {
		n++
	}
	return n
}

func plain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

// plainWord looks at eight characters at once: none may have its high bit set or get it by a subtraction, which for ASCII happens
// to those below what is subtracted.
func plainWord(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	control := w - ones*' '
	quote := (w ^ ones*'"') - ones
	slash := (w ^ ones*'\\') - ones
	return (w|control|quote|slash)&high == 0
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c >= utf8.RuneSelf:
		return append(b, `\ufffd`...)
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, `\n`...)
	case c == '\r':
		return append(b, `\r`...)
	case c == '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}
