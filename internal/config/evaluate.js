// node -e THIS -- module|json FILE: prints a NUL and what the file says, as JSON. What the file itself prints goes to stderr.
const fs = require('fs');
const vm = require('vm');
const { pathToFileURL } = require('url');

const [how, file] = process.argv.slice(1);
process.stdout.write = process.stderr.write.bind(process.stderr);

// What JSON cannot say is named, for muster to refuse it.
const told = (key, value) => {
  if (value instanceof RegExp) return { '\0regexp': String(value) };
  if (typeof value === 'function') return { '\0function': value.name };
  if (typeof value === 'bigint') return String(value);
  return value;
};

const read = async () => {
  if (how === 'json') return vm.runInThisContext(`(${fs.readFileSync(file, 'utf8')}\n)`, { filename: file });
  const module = await import(pathToFileURL(file));
  return 'default' in module ? module.default : { ...module };
};

read().then(
  async (value) => {
    value = await value;
    if (typeof value === 'function') value = await value();
    fs.writeSync(1, '\0' + JSON.stringify(value ?? null, told));
    process.exit(0);
  },
  (error) => { throw error; },
).catch((error) => {
  fs.writeSync(2, String((error && error.stack) || error) + '\n');
  process.exit(1);
});
