package app

import "strconv"

// Overlaps tells whether the two cannot both be bound, as listeners of two apps.
func (l Listener) Overlaps(m Listener) bool { return l.overlaps(m) }

// overlaps tells whether the two cannot both be bound. The kernel picks another port for each 0, so these never meet.
func (l Listener) overlaps(m Listener) bool {
	if l.Network == "unix" || m.Network == "unix" {
		return l.Network == m.Network && l.Path == m.Path
	}
	sameProto := l.Network[:3] == m.Network[:3]
	if !sameProto || l.Port != m.Port || l.Port == 0 {
		return false
	}
	if l.Host != "" && m.Host != "" {
		return l.Host == m.Host
	}
	return l.Network[3:] == "" || m.Network[3:] == "" || l.Network == m.Network
}

// nameListeners parses the lines and gives each listener a name of its own: what the user wrote stands, what was derived gets a number.
func nameListeners(lines []string) ([]Listener, error) {
	listeners := make([]Listener, 0, len(lines))
	derived := make([]bool, len(lines))
	taken := map[string]int{} // chosen name -> line
	for i, line := range lines {
		l, named, err := parseListener(line)
		if err != nil {
			return nil, err
		}
		if first, again := taken[l.Name]; named && again {
			return nil, invalid("listen", line, "has the same name as "+strconv.Quote(lines[first]), "give each listener a name of its own")
		}
		if named {
			taken[l.Name] = i
		}
		derived[i] = !named
		listeners = append(listeners, l)
	}
	numberDerived(listeners, derived, taken)
	return listeners, checkOverlap(listeners, lines)
}

func numberDerived(listeners []Listener, derived []bool, taken map[string]int) {
	for i := range listeners {
		if derived[i] {
			listeners[i].Name = freeName(listeners[i].Name, taken)
			taken[listeners[i].Name] = i
		}
	}
}

func freeName(name string, taken map[string]int) string {
	free := name
	for n := 2; ; n++ {
		if _, found := taken[free]; !found {
			return free
		}
		suffix := "-" + strconv.Itoa(n)
		free = name[:min(len(name), maxName-len(suffix))] + suffix
	}
}

// checkOverlap returns an error that names the first two lines which ask for the same address.
func checkOverlap(listeners []Listener, lines []string) error {
	for i, l := range listeners {
		for j := range i {
			if l.overlaps(listeners[j]) {
				return invalid("listen", lines[i], "overlaps with "+strconv.Quote(lines[j]), "drop one of the two, or give it another port or address")
			}
		}
	}
	return nil
}
