// A TLS server that tells whether the session was resumed.
const fs = require('node:fs');
const https = require('node:https');

const options = { key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CERT) };
https.createServer(options, (req, res) => {
  res.end(`pid: ${process.pid} resumed: ${req.socket.isSessionReused()}\n`);
}).listen(process.env.PORT);
