package app

import "strings"

const healthHint = "write http:/path for a GET of that path, or tcp for a connection"

// ParseHealth reads how workers are checked: "http:/path", "tcp", or nothing.
func ParseHealth(text string) (Health, error) {
	kind, path, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return Health{}, nil
	case text == "tcp":
		return Health{Kind: HealthTCP}, nil
	case kind != "http":
		return Health{}, invalid("health", text, "is not known", healthHint)
	case !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		return Health{}, invalid("health", text, "has no path: the worker that is checked is known already", healthHint)
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return Health{}, invalid("health", text, "its path holds a blank", "write %20")
	}
	return Health{Kind: HealthHTTP, Path: path}, nil
}
