// A datagram server that answers with its process id.
const socket = require('node:dgram').createSocket('udp4');

socket.on('message', (message, from) => socket.send(`${message} pid: ${process.pid}`, from.port, from.address));
socket.bind(Number(process.env.PORT), '127.0.0.1');
