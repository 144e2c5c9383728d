#!/bin/sh
# Runs one compiled file of tests in plain Node, and keeps what it says, as TAP, under dist/tap for `tap` to judge.
# tap's own way loads hooks into each process and each worker, which take a quarter of the time.
file=$1
name=${file#dist/test/}
said=dist/tap/$(printf %s "${name%.test.js}" | tr / -).tap
TAP_TIMEOUT=600 timeout --kill-after=10 600 "${NODE:-node}" "$file" >"$said"
status=$?
# What it cannot say itself: that it hung, was killed, crashed after its last test, or ended without a word.
ended_well() { [ $status = 0 ] && grep -q '^1\.\.' "$said"; }
if ! ended_well && ! grep -q '^not ok' "$said"; then
  last=$(tail -n 20 "$said" | sed 's/^/# /')
  printf 'TAP version 14\n%s\nnot ok 1 - %s ended with exit status %s (124: after 600 s)\n1..1\n' \
    "$last" "$name" "$status" >"$said"
fi
printf .
