"""What the import contracts in pyproject.toml cannot say: who may touch what, how files look, what importing does."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PRODUCT = ("gateway", "services", "shared")
LONGEST = 300
BANNED_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "base"}

READS_ENVIRONMENT = {
    "shared/inference/worker_process.py",  # sets what OpenMP reads when it is loaded
    "shared/rpc/probe.py",  # a settings class would double what a health check costs
    "gateway/settings.py",  # hands the whole environment on to the processes that it starts
}
KNOWS_STATUS_CODES = ("shared/rpc/",)
UNPICKLES = {
    "services/training/pretrained.py",  # torch.load of a package's weights, tensors alone (weights_only)
    "shared/inference/messages.py",  # its docstring says why: both ends are ours
}

IMPORT_EACH = """
import json, logging, os, signal, sys, threading
import prometheus_client

def state():
    return {
        "threads": sorted(each.name for each in threading.enumerate()),
        "metrics": sorted(prometheus_client.REGISTRY._names_to_collectors),
        "signals": sorted((each.name, repr(signal.getsignal(each))) for each in signal.valid_signals()
                          if isinstance(each, signal.Signals)),
        "log handlers": [repr(each) for each in logging.getLogger().handlers],
        "log level": logging.getLogger().level,
        "environment": dict(os.environ),
    }

for heavy in sys.argv[1].split():
    __import__(heavy)
found = {}
for module in sys.argv[2].split():
    before = state()
    __import__(module)
    after = state()
    if changes := [what for what in before if before[what] != after[what]]:
        found[module] = changes
print(json.dumps(found))
"""


def python_files(*roots: str) -> list[Path]:
    """The hand-written Python files below these folders."""
    return sorted(
        path for root in roots for path in (REPOSITORY / root).rglob("*.py") if "__pycache__" not in path.parts
    )


def told(path: Path) -> str:
    """A path from the root of the repository."""
    return path.relative_to(REPOSITORY).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def dotted_names(path: Path) -> Iterator[str]:
    """Every `a.b.c` that a file uses, and every `a.b` that it imports as `from a import b`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def users(names: Iterable[str], *, roots: Iterable[str] = PRODUCT) -> set[str]:
    """The files that use one of these names, or an attribute of it."""
    prefixes = tuple(names)
    return {
        told(path)
        for path in python_files(*roots)
        if any(found == name or found.startswith(f"{name}.") for found in dotted_names(path) for name in prefixes)
    }


def test_only_settings_read_the_environment() -> None:
    assert users({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}) == READS_ENVIRONMENT


def test_only_the_rpc_package_knows_grpc_status_codes() -> None:
    strangers = {path for path in users({"grpc.StatusCode"}) if not path.startswith(KNOWS_STATUS_CODES)}
    assert strangers == set()


def test_nothing_is_unpickled_but_what_our_own_model_process_says() -> None:
    unpickling = {f"{module}.{name}" for module in ("pickle", "torch") for name in ("load", "loads", "Unpickler")}
    assert users(unpickling) == UNPICKLES


def test_servers_write_logs_and_print_nothing() -> None:
    printing = [
        f"{told(path)}:{node.lineno}"
        for path in python_files(*PRODUCT)
        if "examples" not in path.parts  # programs for people
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {told(path): len(path.read_text("utf-8").splitlines()) for path in python_files(*PRODUCT, "tests")}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    bad = [told(path) for path in python_files(*PRODUCT, "tests") if BANNED_WORDS & words(path)]
    assert bad == []


def words(path: Path) -> set[str]:
    """The words of a path's folders and name."""
    return {word for part in path.relative_to(REPOSITORY).with_suffix("").parts for word in part.split("_")}


def test_packages_export_nothing_themselves() -> None:
    exporting = REPOSITORY / "gateway" / "client" / "__init__.py"  # what users import; gateway/README.md says why
    inits = [path for path in python_files(*PRODUCT, "tests") if path.name == "__init__.py" and path != exporting]
    assert len(inits) > 5
    for path in inits:
        text = path.read_text("utf-8").strip()
        assert not text or (ast.get_docstring(tree(path)) and len(tree(path).body) == 1 and "\n" not in text), told(
            path
        )


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        told(path)
        for path in python_files(*PRODUCT, "tests")
        if path.name != "__init__.py" and not ast.get_docstring(tree(path))
    ]
    assert silent == []


def module_name(path: Path) -> str:
    """The dotted name that a file is imported by."""
    return told(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def python(code: str, *arguments: str) -> str:
    """What a fresh Python prints, with nothing of ours in its environment."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"protos:{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("root", PRODUCT)
def test_nothing_happens_at_import(root: str) -> None:
    modules = [module_name(path) for path in python_files(root)]
    heavy = "grpc prometheus_client uvloop rich typer pydantic_settings opentelemetry.sdk.trace"
    heavy += "" if root == "gateway" else " numpy PIL torch safetensors.torch tokenizers"
    assert json.loads(python(IMPORT_EACH, heavy, " ".join(modules))) == {}


@pytest.mark.parametrize("service", ["text", "classification", "generation", "captioning"])
def test_front_end_comes_up_without_what_its_model_needs(service: str) -> None:
    heavy = ("torch", "numpy", "PIL", "tokenizers", "opentelemetry")
    report = f"import sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(f"import services.{service}.__main__; {report}").strip() == "[]"
