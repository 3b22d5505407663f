package apiserver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
)

// TestDecodeOfANewerCommand: what a newer command asks for is refused if it is not known, with what helps.
func TestDecodeOfANewerCommand(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                   "",
		`{"leave_apps": true}`:               "",
		`{"leave_apps": true, "later": [1]}`: "muster daemon upgrade",
		`{"leave_apps": 1}`:                  "-",
	} {
		var got api.DaemonStopRequest
		err := apiserver.Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &got)
		if e, ok := errors.AsType[*api.Error](err); ok != (want != "") || ok && want != "-" && !strings.Contains(e.Hint, want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
