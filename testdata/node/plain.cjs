// What most programs are: a server on a port.
const { createServer } = require('node:http');

createServer((req, res) => res.end(`pid: ${process.pid}\n`)).listen(process.env.PORT);
