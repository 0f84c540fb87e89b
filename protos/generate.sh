#!/usr/bin/env bash
# Generates the code beside the .proto files; with --check, compares it with what is committed instead.
set -euo pipefail
cd "$(dirname "$0")"
python=$(cd .. && command -v "${PYTHON:-python3}")
case $python in /*) ;; *) python="$(cd .. && pwd)/$python" ;; esac
out=.
if [ "${1:-}" = --check ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
PATH="$(dirname "$python"):$PATH"
mapfile -t all < <(find diptych -name '*.proto' | sort)
mapfile -t services < <(grep -l '^service ' "${all[@]}")
"$python" -m grpc_tools.protoc -I . --python_out="$out" --mypy_out=quiet:"$out" "${all[@]}"
"$python" -m grpc_tools.protoc -I . --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" "${services[@]}"
if [ "$out" != . ]; then
    while IFS= read -r made; do
        cmp "$out/$made" "$made" || { echo "$made is not what its .proto generates; run: make protos" >&2; exit 1; }
    done < <(cd "$out" && find diptych -type f | sort)
    echo "generated code is up to date"
fi
