// Node's own way to run a server in several processes.
const cluster = require('node:cluster');
cluster.setupPrimary({ exec: process.env.PROGRAM ?? 'server.js' });
for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
