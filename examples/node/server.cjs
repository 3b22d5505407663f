// The same server as server.mjs, as a CommonJS module.
const { createServer } = require('node:http');

const server = createServer((req, res) => {
  if (req.url === '/crash') setImmediate(() => { throw new Error('crashed on request'); });
  res.end(`hello from pid: ${process.pid}\n`);
});

server.listen(process.env.PORT ?? 3000);
