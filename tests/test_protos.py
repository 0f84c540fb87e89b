"""The protos and what must follow them: a handler for each RPC, code for each file, words for each field."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor, ServiceDescriptor

from gateway.servicer import GatewayServicer
from services.captioning.servicer import CaptioningServicer
from services.classification.servicer import ClassificationServicer
from services.generation.servicer import GenerationServicer
from services.text.servicer import TextEncodingServicer
from shared.codes import Code
from shared.rpc import metadata

PROTOS = Path(__file__).parent.parent / "protos"
FILES = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
SERVICERS: dict[str, type] = {
    "diptych.text.v1.TextEncodingService": TextEncodingServicer,
    "diptych.classification.v1.ClassificationService": ClassificationServicer,
    "diptych.generation.v1.GenerationService": GenerationServicer,
    "diptych.captioning.v1.CaptioningService": CaptioningServicer,
    "diptych.gateway.v1.GatewayService": GatewayServicer,
}
WITHOUT_A_MODEL = {"GetModel", "GetCapabilities"}
"""RPCs that tell what is there; every other answer was computed by a model."""


def generated(file: str, ending: str = "_pb2") -> ModuleType:
    """The generated module of a .proto file."""
    return importlib.import_module(file.removesuffix(".proto").replace("/", ".") + ending)


def descriptor(file: str) -> FileDescriptor:
    """What the generated code knows of a .proto file."""
    found: FileDescriptor = generated(file).DESCRIPTOR
    return found


def services() -> list[ServiceDescriptor]:
    """Every service that we declare."""
    return [service for file in FILES for service in descriptor(file).services_by_name.values()]


each_service = pytest.mark.parametrize("service", services(), ids=lambda service: str(service.full_name))


def test_every_service_of_the_protos_has_a_servicer() -> None:
    assert {service.full_name for service in services()} == set(SERVICERS)


@each_service
def test_every_rpc_has_a_handler_of_its_own(service: ServiceDescriptor) -> None:
    servicer = SERVICERS[service.full_name]
    for method in service.methods:
        handler = vars(servicer).get(method.name)  # the inherited one answers UNIMPLEMENTED
        answers = inspect.isasyncgenfunction if method.server_streaming else inspect.iscoroutinefunction
        assert answers(handler), f"{servicer.__name__} does not answer {method.name}"


@each_service
def test_servicer_answers_nothing_that_is_not_declared(service: ServiceDescriptor) -> None:
    public = {name for name, each in vars(SERVICERS[service.full_name]).items() if name[0] != "_" and callable(each)}
    assert public == {method.name for method in service.methods}


@pytest.mark.parametrize("file", FILES)
def test_generated_code_stands_beside_each_proto(file: str) -> None:
    stem = PROTOS / file.removesuffix(".proto")
    endings = ["_pb2.py", "_pb2.pyi"]
    if descriptor(file).services_by_name:
        endings += ["_pb2_grpc.py", "_pb2_grpc.pyi"]
    assert [ending for ending in endings if not stem.with_name(stem.name + ending).is_file()] == []


def test_no_generated_code_outlives_its_proto() -> None:
    stems = {(PROTOS / file).with_suffix("") for file in FILES}
    left_over = [
        path.name
        for path in PROTOS.rglob("*_pb2*.py*")
        if "__pycache__" not in path.parts and path.with_name(path.name.split("_pb2")[0]) not in stems
    ]
    assert left_over == []


@pytest.mark.parametrize("file", FILES)
def test_package_is_the_folder_and_ends_with_its_version(file: str) -> None:
    package = descriptor(file).package
    assert package == str(Path(file).parent).replace("/", ".")
    assert package.endswith(".v1")


def test_lint_demands_a_comment_on_everything() -> None:
    """`buf lint`, which `make check` runs, then refuses a field without one."""
    lines = [line.strip() for line in (PROTOS / "buf.yaml").read_text("utf-8").splitlines()]
    assert {"- STANDARD", "- COMMENTS", "- FILE"} <= set(lines)
    assert not [line for line in lines if line.startswith(("except", "ignore"))]


@each_service
def test_every_answer_that_a_model_computed_says_which(service: ServiceDescriptor) -> None:
    for method in service.methods:
        if method.name in WITHOUT_A_MODEL:
            continue
        fields = method.output_type.fields_by_name
        if service.full_name.startswith("diptych.gateway."):
            assert told(fields["stages"]) == "repeated diptych.types.v1.Stage"
        else:
            assert told(fields["model"]) == "diptych.types.v1.Model"
            assert told(fields["timings"]) == "diptych.types.v1.Timings"


def told(field: FieldDescriptor) -> str:
    """A message field's type as a .proto file writes it."""
    assert field.message_type is not None
    return ("repeated " if field.is_repeated else "") + field.message_type.full_name


def test_page_of_the_protos_names_every_metadata_key() -> None:
    keys = {value for name, value in vars(metadata).items() if name.isupper()}
    page = (PROTOS / "README.md").read_text("utf-8")
    assert len(keys) >= 8
    assert {key for key in keys if f"| `{key}` |" not in page} == set()


def test_page_of_the_protos_lists_only_codes_there_are() -> None:
    page = (PROTOS / "README.md").read_text("utf-8")
    listed = set(re.findall(r"^\| ([A-Z_]+) \|", page, re.MULTILINE))
    assert {"INVALID_ARGUMENT", "UNAVAILABLE"} < listed <= {code.name for code in Code}
