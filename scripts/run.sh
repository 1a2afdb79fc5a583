#!/bin/sh
# Sets the checkout up, then becomes a program of it: scripts/run.sh MODE FILE [ARGS]
#
# Set-up runs on whatever Node the machine has, and brings the Node that FILE runs on. That one is named by its path: a shell
# may remember where it found `node` the first time. MODE and ARGS tell set-up what is needed (see scripts/setup.mjs).
set -e
cd "$(dirname "$0")/.."
mode=$1
shift
node scripts/setup.mjs "$mode" "$@"
# Types are stripped and code is compiled once, not at every start.
export NODE_COMPILE_CACHE="$PWD/.haplane/compile-cache"
exec node_modules/.bin/node "$@"
