package master

import (
	"net/http"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/apiserver"
)

// routes are the API.
var routes = []apiserver.Route[*Master]{
	apiserver.On(http.MethodGet, api.PathHealth, apiserver.Anyone, (*Master).getHealth),
	apiserver.On(http.MethodGet, api.PathReady, apiserver.Anyone, (*Master).getReady),
	apiserver.On(http.MethodGet, api.PathApp, apiserver.Owner, (*Master).getApp),
	apiserver.On(http.MethodGet, api.PathEnv, apiserver.Owner, (*Master).getEnv),
	apiserver.On(http.MethodGet, api.PathLaunch, apiserver.Owner, (*Master).getLaunch),
	apiserver.On(http.MethodGet, api.PathEvents, apiserver.Owner, (*Master).getEvents),
	apiserver.On(http.MethodGet, api.PathLogs, apiserver.Owner, (*Master).getLogs),
	apiserver.On(http.MethodGet, api.PathOperation, apiserver.Owner, (*Master).getOperation),
	apiserver.On(http.MethodPost, api.PathReload, apiserver.Owner, (*Master).postReload),
	apiserver.On(http.MethodPost, api.PathRollback, apiserver.Owner, (*Master).postRollback),
	apiserver.On(http.MethodPost, api.PathScale, apiserver.Owner, (*Master).postScale),
	apiserver.On(http.MethodPost, api.PathStop, apiserver.Owner, (*Master).postStop),
	apiserver.On(http.MethodPost, api.PathUpgrade, apiserver.Owner, (*Master).postUpgrade),
	apiserver.On(http.MethodPost, api.PathSignal, apiserver.Owner, (*Master).postSignal),
	apiserver.On(http.MethodPost, api.PathReset, apiserver.Owner, (*Master).postReset),
	apiserver.On(http.MethodPost, api.PathReopen, apiserver.Owner, (*Master).postReopen),
	apiserver.On(http.MethodPost, api.PathKeep, apiserver.Owner, (*Master).postKeep),
}

// api returns the handler of all routes.
func (m *Master) api() http.Handler { return apiserver.Handler(m, routes) }
