// Package api holds the wire types of muster's API, version 1: HTTP and JSON over a unix socket.
//
// The master of each app serves it; see package client for a typed way to use it. Fields may be added; none changes its meaning.
//
//	GET  /healthz                     200 while the master lives
//	GET  /readyz                      200 while at least one slot is served and the app does not stop
//	GET  /v1/app                      App
//	GET  /v1/env                      []WorkerEnv, of each worker
//	GET  /v1/launch                   Launch, that a daemon has started it from
//	GET  /v1/events?since=REVISION    a line of JSON per Event
//	POST /v1/reload                   202 Operation
//	POST /v1/rollback                 202 Operation
//	POST /v1/scale                    ScaleRequest, 202 Operation
//	POST /v1/stop                     StopRequest, 202 Operation
//	POST /v1/upgrade                  202 Operation
//	POST /v1/signal                   SignalRequest, 202 SignalAnswer
//	POST /v1/reset                    202 App
//	POST /v1/logs/reopen              202 ReopenAnswer
//	GET  /v1/operations/{id}?wait=30s Operation, as soon as it has ended or the wait has
//
// Secrets are masked in every answer but that of /v1/logs, by the rule of package secret; ?with=secrets shows them.
//
// Whatever is not answered with 200 or 202 is answered with a Failure.
package api
