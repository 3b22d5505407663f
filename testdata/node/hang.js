// Hangs as it is asked to: /loop computes for ever, /sleep never wakes, /native waits in a system call, /slow answers after 10 s and serves others meanwhile.
'use strict';
const http = require('http');

function spinForEver() {
  for (;;);
}

function sleepForEver() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function handle(req, res) {
  if (req.url === '/loop') {
    console.log('hangs', process.pid);
    spinForEver();
  }
  if (req.url === '/sleep') {
    console.log('hangs', process.pid);
    sleepForEver();
  }
  if (req.url === '/native') {
    console.log('hangs', process.pid);
    require('child_process').execSync('sleep 1000');
  }
  setTimeout(() => res.end(`pid: ${process.pid}\n`), req.url === '/slow' ? 10000 : 0);
}

const server = http.createServer(handle);
if (process.env.BY_MESSAGE) process.on('message', (m, handle) => handle && handle.on('connection', (c) => server.emit('connection', c)));
else server.listen(process.env.PORT);
