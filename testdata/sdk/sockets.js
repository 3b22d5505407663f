// The master accepts and gives each connection away; it counts and closes by asking the worker.
const { fork } = require('child_process');
const { worker, say, onCommand, watch } = require('./lib.js');

const w = fork('worker.js', [], { execPath: worker });
watch(w);
const server = require('net').createServer({ pauseOnConnect: true }, (socket) => w.send('socket', socket));
server.listen(0, '127.0.0.1', () => say('port', server.address().port));
onCommand({
  count: () => server.getConnections((err, n) => say('count', err || n)),
  close: () => server.close((err) => say('closed', err)),
  disconnect: () => w.disconnect(),
});
