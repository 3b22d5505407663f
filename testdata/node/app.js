// A server that ends, blocks or reports itself, depending on the path. What ends it happens when the answer has been sent.
const cluster = require('node:cluster');
const fs = require('node:fs');
const { createServer } = require('node:http');

const act = {
  '/disconnect': () => cluster.worker.disconnect(),
  '/kill': () => cluster.worker.kill(),
  '/exit': () => process.exit(7),
  '/ready': () => process.send('ready'),
  '/suicide': () => {
    process.send({ act: 'suicide' });
    server.close(() => process.exit(1));
  },
};

function block(ms) {
  console.log('blocked');
  const end = Date.now() + ms;
  while (Date.now() < end);
}

const server = createServer((req, res) => {
  if (req.url.startsWith('/block/')) block(Number(req.url.slice('/block/'.length)));
  const body = req.url === '/env' ? JSON.stringify(process.env) : `pid: ${process.pid}\n`;
  if (act[req.url]) res.on('close', act[req.url]);
  req.on('end', () => res.end(body)).resume();
});

// Who accepted which connection: a line with the client's port for each, written before anything is read from it.
if (process.env.ACCEPTED) {
  const file = fs.openSync(`${process.env.ACCEPTED}.${process.pid}`, 'a');
  server.on('connection', (socket) => fs.writeSync(file, `${socket.remotePort}\n`));
}

process.on('message', (message) => {
  if (message !== 'shutdown') return;
  console.log('told to shut down');
  server.close(() => process.exit(0));
});

server.listen(process.env.PORT);
