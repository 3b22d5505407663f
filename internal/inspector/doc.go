// Package inspector asks a Node process where its main thread stands, over the inspector that the process opens at SIGUSR1.
//
// The inspector has a thread of its own, and interrupts JavaScript wherever it is: in a loop that never ends, and in Atomics.wait. It cannot
// interrupt what is not JavaScript, as a system call that does not return: then the process does not open it at all.
//
//	master                                            process
//	  │ SIGUSR1                                          │
//	  ├─────────────────────────────────────────────────►│
//	  │ stderr: Debugger listening on ws://HOST:PORT/ID  │
//	  │◄─────────────────────────────────────────────────┤
//	  │ WebSocket (RFC 6455): Debugger.enable, .pause    │
//	  ├─────────────────────────────────────────────────►│
//	  │ Debugger.paused with the frames                  │
//	  │◄─────────────────────────────────────────────────┤
package inspector
