// Package nodeipc speaks Node's child-process channel from the master's side: the framing, the handles that ride on it, and the
// conversation that the primary of a Node cluster has with a worker. The wire is the same from Node 18 to 26.
//
// The channel is one AF_UNIX stream socket. A record is one JSON value and a newline. A handle is one descriptor, sent as SCM_RIGHTS with
// the first byte of a NODE_HANDLE record, and answered by an acknowledgement that carries no number: it means the oldest handle that has
// none yet.
//
//	worker                                   master
//	  │ online                                 │
//	  ├───────────────────────────────────────►│ Online
//	  │ queryServer seq=1                      │
//	  ├───────────────────────────────────────►│ Query
//	  │ NODE_HANDLE{errno:0,key,ack:1} + fd    │
//	  │◄───────────────────────────────────────┤ AnswerHandle (or AnswerError, without fd)
//	  │ NODE_HANDLE_ACK                        │
//	  ├───────────────────────────────────────►│ HandleAck
//	  │ listening                              │
//	  ├───────────────────────────────────────►│ Listening: the worker accepts by itself from here on
//	  │ NODE_HANDLE{act:newconn,key,seq} + fd  │
//	  │◄───────────────────────────────────────┤ NewConn
//	  │ NODE_HANDLE_ACK, {ack:seq,accepted}    │
//	  ├───────────────────────────────────────►│ HandleAck, Accepted
//	  │ NODE_HANDLE without a descriptor       │
//	  │◄───────────────────────────────────────┤ Ping
//	  │ NODE_HANDLE_NACK                       │
//	  ├───────────────────────────────────────►│ Accepted, not OK
//	  │ disconnect                             │
//	  │◄───────────────────────────────────────┤ Disconnect
//	  │ close key, then EOF                    │
//	  ├───────────────────────────────────────►│ Closed, io.EOF
//
// A Conn never sends what makes a Node worker crash or freeze: an empty line, an acknowledgement nobody asked for, two descriptors at once,
// a descriptor of another sort than the worker expects or in blocking mode, a positive error number, a key twice, or TLS data it lacks.
// Both directions are bounded: a worker that floods is held back, one that does not read makes sends fail with ErrFull.
package nodeipc
