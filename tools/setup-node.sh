#!/bin/sh
# Fetches the Node versions that muster is tested with from the npm registry into .cache/node/<major>, all at once.
# A version that is there and runs is left alone. Without npm this fails in CI and is skipped elsewhere.
# The versions are those of NodeVersions in internal/testutil/need.go.
set -eu
cd "$(dirname "$0")/.."

case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) echo "setup-node: no Node packages for $(uname -s)" >&2; exit 1 ;;
esac
case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) echo "setup-node: no Node packages for $(uname -m)" >&2; exit 1 ;;
esac

runs() { ".cache/node/$1/node_modules/node-$os-$arch/bin/node" --version >/dev/null 2>&1; }

missing=
for major in 18 20 22 24 26; do
    runs $major || missing="$missing $major"
done
[ -n "$missing" ] || exit 0

if ! command -v npm >/dev/null; then
    echo "setup-node: npm is missing; tests with Node$missing will be skipped" >&2
    [ "${CI:-}" != true ]
    exit
fi

jobs=
for major in $missing; do
    mkdir -p ".cache/node/$major"
    npm install --silent --no-audit --no-fund --prefix ".cache/node/$major" "node-$os-$arch@$major" </dev/null &
    jobs="$jobs $!"
done
for job in $jobs; do
    wait "$job" || true # what did not come is missed below
done
for major in $missing; do
    runs "$major" || { echo "setup-node: node $major could not be fetched" >&2; exit 1; }
    echo "setup-node: node $major $(".cache/node/$major/node_modules/node-$os-$arch/bin/node" --version)"
done
