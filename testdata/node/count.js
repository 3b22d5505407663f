// A server whose worker has a child and a thread: it tells what they, and it, find of the variables that are the master's affair.
const { execFileSync } = require('node:child_process');
const { createServer } = require('node:http');
const { Worker } = require('node:worker_threads');

const names = ['NODE_OPTIONS', 'MUSTER_MAX_REQUESTS'];
const seen = (env) => names.map((name) => env[name] || '').join();
const code = `${JSON.stringify(names)}.map((name) => process.env[name] || '').join()`;

const child = execFileSync(process.execPath, ['-p', code], { encoding: 'utf8' }).trim();
new Worker(`require('node:worker_threads').parentPort.postMessage(${code})`, { eval: true }).once('message', (thread) => {
  const body = `pid: ${process.pid}\nself ${seen(process.env)}; child ${child}; thread ${thread}; loaded ${globalThis.loaded}\n`;
  createServer((req, res) => res.end(body)).listen(process.env.PORT);
});
