// The server that every contender runs.
const http = require('node:http');
http.createServer((req, res) => res.end(`hello from pid: ${process.pid}\n`)).listen(Number(process.env.PORT), '127.0.0.1');
