// One server for each argument, which is what it passes to listen, as JSON. It tells what came of it and lives on.
const { createServer } = require('node:http');

process.argv.slice(2).forEach((where, n) => {
  const server = createServer((req, res) => res.end(`server ${n} pid: ${process.pid}\n`));
  server.on('error', (err) => console.log(`server ${n} error ${err.code}`));
  server.listen(JSON.parse(where), () => console.log(`server ${n} listens`, JSON.stringify(server.address())));
});

setInterval(() => {}, 1e6);
