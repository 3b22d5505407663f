// A server that misuses what it shares with its master, in the way that its argument names, and goes on serving if it can.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { createServer } = require('node:http');

const misuse = {
  messages() {
    for (let i = 0; i < 1e5; i++) process.send({ i, text: 'x'.repeat(100) });
  },
  garbage() {
    fs.writeSync(3, Buffer.from([0xff, 0x00, 0x7b, 0x0a, 0x7b, 0x22, 0x0a]));
  },
  disconnect() {
    process.disconnect();
  },
  deaf() {
    const pipe = process._getActiveHandles().find((handle) => handle.constructor.name === 'Pipe');
    pipe.readStop();
  },
  stdout() {
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let i = 0; i < 8; i++) fs.writeSync(1, chunk);
  },
  title() {
    process.title = 'renamed';
  },
  descendant() {
    spawn('sleep', ['1000'], { detached: true, stdio: 'inherit' }).unref();
  },
};

function begin() {
  misuse[process.argv[2]]();
  console.error('misused');
}

const server = createServer((req, res) => res.end(`pid: ${process.pid}\n`));
process.on('message', (message, listener) => {
  if (message !== 'server') return;
  listener.on('connection', (socket) => server.emit('connection', socket));
  setImmediate(begin);
});
if (require('node:cluster').isWorker) server.listen(process.env.PORT, begin);
