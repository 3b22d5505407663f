package logs

import "time"

// Printer puts lines of many sources into the form of a stream.
type Printer struct {
	o        Options
	colored  bool
	encoders map[Source]*encoder
}

// NewPrinter returns a printer; ColorAuto means no colour.
func NewPrinter(o Options) *Printer {
	return &Printer{o: o, colored: o.Color == ColorAlways, encoders: map[Source]*encoder{}}
}

// Append adds a line to b. One that is continued goes on in the source's next one.
func (p *Printer) Append(b []byte, src Source, at time.Time, line string, continued bool) []byte {
	e := p.encoders[src]
	if e == nil {
		made := newEncoder(src, p.o, p.colored)
		e = &made
		p.encoders[src] = e
	}
	e.at(at)
	return e.appendLine(b, []byte(line), continued)
}

// AppendMaster adds a line of text of the master.
func (p *Printer) AppendMaster(b []byte, at time.Time, text string) []byte {
	if p.o.Timestamps {
		b = at.AppendFormat(b, TimeForm)
		b = append(b, ' ')
	}
	style := newStyle(p.colored, p.o)
	b = append(b, style.label...)
	b = append(b, text...)
	return append(b, '\n')
}
