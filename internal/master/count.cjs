// Loaded before a Node program whose app recycles workers after a number of connections: counts those that its servers accept, and tells the
// master once, over Node's channel. Also loaded where the app has a hang timeout, for the lines that restore NODE_OPTIONS: what the program starts
// knows nothing of it.
'use strict';

const { env } = process;
const limit = Number(env.MUSTER_MAX_REQUESTS);
delete env.MUSTER_MAX_REQUESTS;

// The program finds NODE_OPTIONS as its user left it. In a thread of the program's that has been done.
const own = 'muster-count.cjs"';
const end = (env.NODE_OPTIONS || '').lastIndexOf(own);
if (end >= 0) {
  const rest = env.NODE_OPTIONS.slice(end + own.length).trim();
  if (rest) env.NODE_OPTIONS = rest;
  else delete env.NODE_OPTIONS;
}

if (limit > 0 && process.send) {
  const send = process.send.bind(process);
  let accepted = 0;
  // It stays subscribed: Node 18 fails when somebody leaves while it publishes.
  require('diagnostics_channel').subscribe('net.server.socket', () => {
    if (++accepted !== limit) return;
    send({ cmd: 'NODE_MUSTER', connections: accepted }, undefined, undefined, () => {}); // a channel that is gone is no failure
  });
}
