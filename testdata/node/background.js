// A program without a server.
setInterval(() => console.log('tick'), 100);
