// A server with habits: it boots for BOOT_MS, stands still at /block?ms= as a program does that waits synchronously, computes at /work?ms=, and takes
// its time at /slow?ms=. With GRACE it closes its server when it is told to go, as the textbook has it. With the file "broken" it does not start.
const fs = require('node:fs');
const http = require('node:http');

if (fs.existsSync('broken')) throw new Error('cannot open the database');

const still = new Int32Array(new SharedArrayBuffer(4));
const stand = (ms) => Atomics.wait(still, 0, 0, ms);

function compute(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

const acts = { '/block': stand, '/work': compute };

stand(Number(process.env.BOOT_MS ?? 0));
const server = http.createServer((req, res) => {
  const [path, query] = req.url.split('?');
  const ms = Number(new URLSearchParams(query).get('ms'));
  acts[path]?.(ms);
  const answer = () => res.end(`hello from pid: ${process.pid}\n`);
  path === '/slow' ? setTimeout(answer, ms) : answer();
});
if (process.env.GRACE) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.close(() => process.exit(0)));
}
server.keepAliveTimeout = 120_000; // clients that are idle stay
server.listen(Number(process.env.PORT), '127.0.0.1');
