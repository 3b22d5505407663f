#!/bin/sh
# A background program: no socket, a line every second, a clean end on TERM.
trap 'echo "bye from pid: $$"; exit 0' TERM
n=0
while :; do
    n=$((n + 1))
    echo "tick $n of pid: $$"
    sleep 1 &
    wait $!
done
