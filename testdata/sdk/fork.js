// Two workers share the server that the master opened; the master itself stops accepting.
const { fork, spawn } = require('child_process');
const { worker, say, onCommand, watch } = require('./lib.js');

const start = {
  fork: () => fork('worker.js', ['argument'], { execPath: worker, execArgv: ['--an-option'] }),
  spawn: () => spawn(worker, [], { stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'ignore', 'ipc'] }),
}[process.argv[3]];

const server = require('net').createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const workers = [start(), start()];
  let waiting = workers.length;
  for (const w of workers) {
    watch(w);
    w.send({ hello: 'worker' });
    w.send('server', server, () => {
      if (--waiting === 0) {
        server.close();
        say('port', port);
      }
    });
  }
  onCommand({
    disconnect: () => workers.filter((w) => w.connected).forEach((w) => w.disconnect()),
    die: () => process.exit(0),
  });
});
