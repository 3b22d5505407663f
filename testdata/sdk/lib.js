// What the masters here share. Commands arrive as lines on stdin, events leave as lines on stdout.
exports.worker = process.argv[2];

exports.say = (...words) => console.log(['master', ...words].join(' '));

exports.onCommand = (commands) => {
  const lines = require('readline').createInterface({ input: process.stdin });
  lines.on('line', (line) => commands[line]());
};

exports.watch = (child) => {
  child.on('message', (m) => exports.say('message', JSON.stringify(m)));
  child.on('exit', (code, signal) => exports.say('exit', code, signal));
};
