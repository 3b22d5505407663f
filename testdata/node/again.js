// A server that changes its mind: it listens, closes, and listens again.
const { createServer } = require('node:http');

const server = createServer((req, res) => res.end(`pid: ${process.pid}\n`));
const port = process.env.PORT;

server.listen(port, () => {
  server.close(() => server.listen(port, () => console.log('listens again')));
});
