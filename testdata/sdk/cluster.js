// The primary of a cluster whose workers are not JavaScript.
const cluster = require('cluster');
const { worker, say, onCommand, watch } = require('./lib.js');

cluster.schedulingPolicy = { rr: cluster.SCHED_RR, none: cluster.SCHED_NONE }[process.argv[3]];
process.execPath = worker;
cluster.on('online', (w) => say('online', w.id));
cluster.on('listening', (w, address) => say('listening', w.id, address.address, address.port));
cluster.on('message', (w, m) => say('message', JSON.stringify(m)));
cluster.on('exit', (w, code, signal) => say('exit', code, signal, w.exitedAfterDisconnect));
cluster.fork();
cluster.fork();
onCommand({
  disconnect: () => cluster.disconnect(() => say('all gone')),
  die: () => process.exit(0),
});
