#!/usr/bin/env bash
# Compares the protos with those of the last release tag, or else of main, and fails on a change that breaks a caller.
set -euo pipefail
cd "$(dirname "$0")/.."
buf=${BUF:-buf}
against=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || git rev-parse --verify --quiet HEAD || true)
if [ -z "$against" ] || ! git cat-file -e "$against:protos/buf.yaml" 2>/dev/null; then
    echo "buf breaking: nothing to compare with, no earlier commit has protos"
    exit 0
fi
"$buf" breaking protos --against ".git#ref=$against,subdir=protos"
echo "buf breaking: no broken caller since $against"
