#!/bin/sh
# Fetches PM2 7, with which the environment of workers is compared, from the npm registry into .cache/pm2. One that is there is left alone.
# Without npm this fails in CI and is skipped elsewhere.
set -eu
cd "$(dirname "$0")/.."

[ -f .cache/pm2/node_modules/pm2/package.json ] && exit 0
if ! command -v npm >/dev/null; then
    echo "setup-pm2: npm is missing; tests beside PM2 will be skipped" >&2
    [ "${CI:-}" != true ]
    exit
fi
mkdir -p .cache/pm2
npm install --silent --no-audit --no-fund --prefix .cache/pm2 pm2@7 </dev/null
