// A worker that is handed its socket by a message instead of calling listen (--handoff message).
// After an error that it did not expect it announces its end, so that its replacement starts while it still finishes what it began.
const http = require('node:http');

let listener; // the master's socket, once it has come
let leaving = false;

const app = http.createServer((req, res) => {
  if (req.url === '/crash') setImmediate(() => { throw new Error('crashed on request'); });
  if (leaving) res.setHeader('Connection', 'close');
  res.end(`hello from pid: ${process.pid}\n`);
});

process.on('message', (message, handle) => {
  if (message !== 'server') return;
  listener = handle;
  listener.on('connection', (socket) => app.emit('connection', socket));
});

// leave stops accepting and ends the process when the last connection has closed.
function leave(code) {
  if (leaving) return;
  leaving = true;
  if (!listener) process.exit(code);
  listener.close(() => process.exit(code));
  app.closeIdleConnections();
}

process.on('uncaughtException', (err) => {
  console.error(err);
  process.send({ act: 'suicide' });
  leave(1);
});

process.on('SIGTERM', () => leave(0));
