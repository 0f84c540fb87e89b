#!/usr/bin/env bash
# Pins what the images hold, each file with its hashes: deploy/requirements/*.txt, from pyproject.toml and
# constraints.txt. `make lock` runs it; lock.sh PATH-OF-UV does as well. uv needs the usual index and, for TORCH=cpu, one
# with PyTorch's CPU builds, both named by its own variables, such as UV_INDEX and UV_FIND_LINKS.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=${1:-uv}
target=(--python-version 3.11 --python-platform x86_64-manylinux_2_28)

# Required by a package that is used without it. The command line's are not in an image, which holds a server; those that
# tokenizers would download models with are nobody's.
left_out=(annotated-doc markdown-it-py mdurl pygments rich shellingham typer
    anyio hf-xet httpcore2 httpx2 huggingface-hub idna pyyaml tqdm truststore)

compile() { # NAME ARGUMENT...: what pip installs for an image
    local name=$1
    shift
    local omitted=()
    for package in "${left_out[@]}"; do omitted+=(--no-emit-package "$package"); done
    printf '# Made by deploy/requirements/lock.sh (make lock); do not edit.\n' >"deploy/requirements/$name.txt.new"
    "$uv" pip compile --quiet --no-header --no-annotate --generate-hashes "${target[@]}" "${omitted[@]}" "$@" \
        >>"deploy/requirements/$name.txt.new"
    # What uv says of packages that it leaves out.
    sed -i '/^# The following packages were excluded/,$d' "deploy/requirements/$name.txt.new"
    mv "deploy/requirements/$name.txt.new" "deploy/requirements/$name.txt"
}

compile gateway pyproject.toml --extra web --extra tracing --constraint constraints.txt
torch=$(grep '^torch==' constraints.txt)
for variant in "cpu ==" "cuda !="; do  # what has the local version `+cpu`, and what has not
    compile "services-${variant% *}" pyproject.toml --extra services --extra tracing --constraint constraints.txt \
        --constraint <(echo "torch${variant#* }${torch#torch==}+cpu") --no-emit-package click --no-emit-package h11
done
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
    | compile build -
