#!/bin/sh
# Runs every fuzz target of the module for the time given. The seeds alone run with the tests.
set -eu
cd "$(dirname "$0")/.."
for package in $(go list ./...); do
    for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
        echo "fuzz: $package $target"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package"
    done
done
