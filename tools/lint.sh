#!/bin/sh
# Runs golangci-lint at a pinned version, built from the Go module proxy into .cache/bin at first use.
set -eu
cd "$(dirname "$0")/.."
version=v2.15.0
bin=$PWD/.cache/bin
lint=$bin/golangci-lint-$version
if [ ! -x "$lint" ]; then
    echo "lint: building golangci-lint $version"
    GOBIN=$bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
    mv "$bin/golangci-lint" "$lint"
fi
exec "$lint" run --allow-serial-runners "$@"
