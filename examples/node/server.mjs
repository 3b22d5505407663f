// A plain Node server. It knows nothing of muster: `listen` inside a worker takes the socket that the master opened.
import { createServer } from 'node:http';

const server = createServer((req, res) => {
  if (req.url === '/crash') setImmediate(() => { throw new Error('crashed on request'); });
  res.end(`hello from pid: ${process.pid}\n`);
});

server.listen(process.env.PORT ?? 3000);
