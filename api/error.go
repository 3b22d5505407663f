package api

// Kind says what sort of error it is, for programs.
type Kind string

// The kinds of error.
const (
	KindUsage       Kind = "usage"       // 400: the request makes no sense
	KindForbidden   Kind = "forbidden"   // 403: the caller is neither the user who runs the app nor root
	KindNotFound    Kind = "not_found"   // 404
	KindConflict    Kind = "conflict"    // 409: not in this state of the app
	KindInternal    Kind = "internal"    // 500
	KindUnsupported Kind = "unsupported" // 501: not on this machine or not in this version
	KindUnavailable Kind = "unavailable" // 503: the app is ending, or not ready
)

// Error is what went wrong, in words for the user.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do instead
}

// Error returns the message without the hint, which stands on a line of its own where errors are shown.
func (e *Error) Error() string { return e.Message }

// Failure is the body of an answer that is an error.
type Failure struct {
	Error Error `json:"error"`
}
