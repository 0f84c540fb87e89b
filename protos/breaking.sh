#!/usr/bin/env bash
# Fails on a change of the protos that breaks a caller. They are compared with the last release; before the first
# release with main, or on main itself with the commit before.
set -euo pipefail
cd "$(dirname "$0")/.."

resolve() { git rev-parse --verify --quiet "$1^{commit}" 2>/dev/null || true; }

against=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
for candidate in origin/main main 'HEAD^'; do
    if [ -z "$against" ] && [ -n "$(resolve "$candidate")" ] && [ "$(resolve "$candidate")" != "$(resolve HEAD)" ]; then
        against=$(resolve "$candidate")
    fi
done
if [ -z "$against" ] || ! git cat-file -e "$against:protos/buf.yaml" 2>/dev/null; then
    echo "buf breaking: skipped, there is no earlier commit with protos to compare with"
    exit 0
fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$against" protos | tar -x -C "$old"
"${BUF:-buf}" breaking protos --against "$old/protos"
echo "buf breaking: nothing broken since $against"
