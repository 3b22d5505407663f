package app

import (
	"strconv"
	"strings"
)

// CPUTime is how much of CPUs may be used at a time, in thousandths of one: "1.5", or "50%" of one. Zero means "not given". It is a pflag.Value.
type CPUTime int64

const cpuTimeHint = `write a number of CPUs, as 1.5, or "50%" of one`

// ParseCPUTime reads a number of CPUs.
func ParseCPUTime(text string) (CPUTime, error) {
	number, factor := strings.TrimSpace(text), 1000.0
	if percent, ok := strings.CutSuffix(number, "%"); ok {
		number, factor = percent, 10
	}
	value, err := strconv.ParseFloat(number, 64)
	switch {
	case number == "" || strings.Trim(number, "0123456789.") != "" || err != nil:
		return 0, invalid("", text, "is not a number of CPUs", cpuTimeHint)
	case value*factor < 10:
		return 0, invalid("", text, "is less than the kernel can share out, 1% of a CPU", cpuTimeHint)
	case value*factor > maxCPU*1000:
		return 0, invalid("", text, "is more than any machine has", cpuTimeHint)
	}
	return CPUTime(value*factor + 0.5), nil
}

// String is the number of CPUs.
func (c CPUTime) String() string { return strconv.FormatFloat(float64(c)/1000, 'f', -1, 64) }

// Set reads text into c.
func (c *CPUTime) Set(text string) error {
	parsed, err := ParseCPUTime(text)
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Type returns the word that stands for a value in a flag's help.
func (c *CPUTime) Type() string { return "CPUs" }

// MarshalText writes c as String does, zero as the empty text.
func (c CPUTime) MarshalText() ([]byte, error) {
	if c == 0 {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (c *CPUTime) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = 0
		return nil
	}
	return c.Set(string(text))
}

// UnmarshalJSON reads a string or a number; null leaves c as it is.
func (c *CPUTime) UnmarshalJSON(data []byte) error {
	text, err := scalar(data)
	if err != nil || text == "null" {
		return err
	}
	return c.UnmarshalText([]byte(text))
}
