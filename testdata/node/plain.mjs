// The same as plain.cjs, as a module.
import { createServer } from 'node:http';

createServer((req, res) => res.end(`pid: ${process.pid}\n`)).listen(process.env.PORT);
