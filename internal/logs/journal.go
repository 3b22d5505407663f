package logs

import "log/slog"

// The journal of systemd takes the priority of a line of text from its beginning: "<4>text", as the kernel's log has it.
const (
	priorityError   = '3'
	priorityWarning = '4'
	priorityInfo    = '6'
	priorityDebug   = '7'
)

// appendPriority begins a worker's line for the journal. A priority that the worker wrote is the line's, since the head of the line would hide
// it; any other line is information, on whatever stream: many programs write everything to stderr.
func appendPriority(b, line []byte) (head, rest []byte) {
	priority := byte(priorityInfo)
	if len(line) >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>' {
		priority, line = line[1], line[3:]
	}
	return append(b, '<', priority, '>'), line
}

func priorityOf(l slog.Level) byte {
	switch {
	case l >= slog.LevelError:
		return priorityError
	case l >= slog.LevelWarn:
		return priorityWarning
	case l < slog.LevelInfo:
		return priorityDebug
	}
	return priorityInfo
}
