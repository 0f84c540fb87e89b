#!/usr/bin/env bash
# Generates the code beside the .proto files; with --check, compares it with what is there instead.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
PATH="$(dirname "$(command -v "$python")"):$PATH"  # protoc looks for its mypy plugins there
out=protos
if [ "${1:-}" = --check ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
mapfile -t all < <(find protos/diptych -name '*.proto' | sort)
mapfile -t services < <(grep -l '^service ' "${all[@]}")
"$python" -m grpc_tools.protoc -I protos --python_out="$out" --mypy_out=quiet:"$out" "${all[@]}"
"$python" -m grpc_tools.protoc -I protos --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" "${services[@]}"
"$python" -m grpc_tools.protoc -I protos --connectrpc_out="$out" --connectrpc_opt=protobuf=google protos/diptych/gateway/v1/gateway.proto
if [ "$out" != protos ]; then
    generated() { (cd "$1" && find diptych -name '*_pb2*.py' -o -name '*_pb2*.pyi' -o -name '*_connect.py' | sort); }
    diff <(generated "$out") <(generated protos) || { echo "generated files are missing or left over; run: make protos" >&2; exit 1; }
    while IFS= read -r file; do
        cmp -s "$out/$file" "protos/$file" || { echo "protos/$file is not what its .proto generates; run: make protos" >&2; exit 1; }
    done < <(generated "$out")
    echo "generated code is up to date"
fi
