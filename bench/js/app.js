// A server with habits: it boots for BOOT_MS, stands still at /block?ms= as a program does that waits synchronously, and computes at /work?ms=.
const http = require('node:http');

const still = new Int32Array(new SharedArrayBuffer(4));
const stand = (ms) => Atomics.wait(still, 0, 0, ms);

function compute(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

const acts = { '/block': stand, '/work': compute };

stand(Number(process.env.BOOT_MS ?? 0));
http.createServer((req, res) => {
  const [path, query] = req.url.split('?');
  acts[path]?.(Number(new URLSearchParams(query).get('ms')));
  res.end(`hello from pid: ${process.pid}\n`);
}).listen(Number(process.env.PORT), '127.0.0.1');
