package logs

import (
	"fmt"
	"time"
)

// timeForm is RFC 3339 with all six digits, so that lines sort and align.
const timeForm = "2006-01-02T15:04:05.000000Z07:00"

// encoder puts the lines of one source into the form of the stream.
type encoder struct {
	json  bool
	head  []byte // text: the prefix; json: from the end of the time to the beginning of the message
	stamp []byte // json: the present time
}

func newEncoder(src Source, format Format, width int, colored bool) encoder {
	if format == FormatJSON {
		return encoder{json: true, head: jsonHead(src)}
	}
	prefix := fmt.Sprintf("%-*s |", width, src.label())
	if colored {
		prefix = slotColor(src.Slot) + prefix + reset
	}
	return encoder{head: []byte(prefix + " ")}
}

func jsonHead(src Source) []byte {
	b := []byte(`","app":"`)
	b = appendJSON(b, []byte(src.App))
	b = fmt.Appendf(b, `","slot":%d,"worker":%d,"pid":%d,"stream":"`, src.Slot, src.Worker, src.PID)
	b = appendJSON(b, []byte(src.Stream))
	return append(b, `","msg":"`...)
}

// at sets the time of the lines that follow.
func (e *encoder) at(now time.Time) {
	if e.json {
		e.stamp = now.AppendFormat(e.stamp[:0], timeForm)
	}
}

// appendLine adds one line to b. A continued line goes on in the source's next one: text has no mark for that.
func (e *encoder) appendLine(b, line []byte, continued bool) []byte {
	if !e.json {
		b = append(b, e.head...)
		b = append(b, line...)
		return append(b, '\n')
	}
	b = append(b, `{"time":"`...)
	b = append(b, e.stamp...)
	b = append(b, e.head...)
	b = appendJSON(b, line)
	if continued {
		return append(b, "\",\"continued\":true}\n"...)
	}
	return append(b, "\"}\n"...)
}
