// A server with types to strip.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const answer = (req: IncomingMessage, res: ServerResponse): void => {
  res.end(`pid: ${process.pid}\n`);
};

createServer(answer).listen(process.env.PORT);
