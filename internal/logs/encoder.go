package logs

import (
	"fmt"
	"strconv"
	"time"
)

// TimeForm is the form of time in every line: RFC 3339 with all six digits, so that lines sort and align.
const TimeForm = "2006-01-02T15:04:05.000000Z07:00"

// Marks between the head of a line of text in a file and the line.
const (
	markWhole = '|'
	markPart  = '+' // the line goes on in the next one of this worker and stream
)

// encoder puts the lines of one source into the form of the stream.
type encoder struct {
	form    form
	head    []byte // text: the prefix without its mark; json: from the end of the time to the beginning of the message
	stamps  bool
	details bool
	journal bool
	stamp   []byte // the present time
}

// form is what an encoder does.
type form int

const (
	formText form = iota
	formJSON
	formRaw
)

func newEncoder(src Source, o Options, colored bool) encoder {
	switch o.Format {
	case FormatJSON:
		return encoder{form: formJSON, head: jsonHead(src), stamps: true}
	case FormatRaw:
		return encoder{form: formRaw}
	case FormatText:
	}
	e := encoder{stamps: o.Timestamps, details: o.Details, journal: o.Journal}
	if o.Details {
		e.head = []byte(src.detail() + " ")
		return e
	}
	prefix := fmt.Sprintf("%-*s |", o.width(), src.label())
	if colored {
		prefix = slotColor(src.Slot) + prefix + reset
	}
	e.head = []byte(prefix + " ")
	return e
}

func jsonHead(src Source) []byte {
	b := []byte(`","app":"`)
	b = appendJSON(b, []byte(src.App))
	b = fmt.Appendf(b, `","slot":%d,"worker":%d,"pid":%d,"stream":"`, src.Slot, src.Worker, src.PID)
	b = appendJSON(b, []byte(src.Stream))
	return append(b, `","msg":"`...)
}

// detail is the source's name in a file: "api/0 12 err".
func (s Source) detail() string {
	stream := shortOut
	if s.Stream == Stderr {
		stream = shortErr
	}
	return s.label() + " " + strconv.FormatUint(s.Worker, 10) + " " + stream
}

// at sets the time of the lines that follow.
func (e *encoder) at(now time.Time) {
	if e.stamps {
		e.stamp = now.AppendFormat(e.stamp[:0], TimeForm)
	}
}

// appendLine adds one line to b. A continued line goes on in the source's next one.
func (e *encoder) appendLine(b, line []byte, continued bool) []byte {
	switch e.form {
	case formJSON:
		return e.appendObject(b, line, continued)
	case formRaw:
	case formText:
		if e.journal {
			b, line = appendPriority(b, line)
		}
		b = e.appendHead(b, continued)
	}
	b = append(b, line...)
	return append(b, '\n')
}

func (e *encoder) appendHead(b []byte, continued bool) []byte {
	if e.stamps {
		b = append(b, e.stamp...)
		b = append(b, ' ')
	}
	b = append(b, e.head...)
	if !e.details {
		return b
	}
	mark := byte(markWhole)
	if continued {
		mark = markPart
	}
	return append(b, mark, ' ')
}

func (e *encoder) appendObject(b, line []byte, continued bool) []byte {
	b = append(b, `{"time":"`...)
	b = append(b, e.stamp...)
	b = append(b, e.head...)
	b = appendJSON(b, line)
	if continued {
		return append(b, "\",\"continued\":true}\n"...)
	}
	return append(b, "\"}\n"...)
}
