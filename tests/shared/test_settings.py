"""Settings come from the environment, are checked there, and never change."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from services.captioning.settings import CaptioningSettings
from services.classification.settings import ClassificationSettings
from services.generation.settings import GenerationSettings
from services.text.settings import TextSettings
from shared.inference.predictor import RuntimeOptions
from shared.settings import ModelServiceSettings, ServerSettings, settings_rows

ALL = (
    ServerSettings,
    ModelServiceSettings,
    TextSettings,
    ClassificationSettings,
    GenerationSettings,
    CaptioningSettings,
    GatewaySettings,
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ALL:
        for variable, _, _ in settings_rows(settings):
            monkeypatch.delenv(variable, raising=False)


def test_variable_is_the_fields_name_with_our_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_DRAIN_TIMEOUT_SECONDS", "2.5")
    assert ServerSettings().drain_timeout_seconds == 2.5


def test_variable_without_our_prefix_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("HOST", "example.org")
    assert ServerSettings() == ServerSettings(port=0, host="127.0.0.1")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServerSettings().port = 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DIPTYCH_PORT", "65536"),
        ("DIPTYCH_PORT", "grpc"),
        ("DIPTYCH_DRAIN_DELAY_SECONDS", "-1"),
        ("DIPTYCH_MAX_MESSAGE_BYTES", "0"),
        ("DIPTYCH_LOG_FORMAT", "xml"),
        ("DIPTYCH_CALL_LOG", "some"),
        ("DIPTYCH_TRACES_ENDPOINT", "collector"),
        ("DIPTYCH_TRACES_ENDPOINT", "grpc://collector:4317"),
        ("DIPTYCH_TRACES_ENDPOINT", "https://collector:4318/v1/traces"),
        ("DIPTYCH_TRACES_SAMPLE_RATIO", "1.5"),
        ("DIPTYCH_DEVICE", "gpu"),
        ("DIPTYCH_DEVICE", "cuda:x"),
        ("DIPTYCH_PRECISION", "fp16"),
        ("DIPTYCH_THREADS", "-1"),
        ("DIPTYCH_MAX_QUEUE_ITEMS", "0"),
        ("DIPTYCH_HANG_TIMEOUT_SECONDS", "0"),
    ],
)
def test_value_out_of_range_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as caught:
        TextSettings()
    (problem,) = caught.value.errors()
    assert problem["loc"] == (variable.removeprefix("DIPTYCH_").lower(),)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_device_is_auto_or_one_that_torch_names(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setenv("DIPTYCH_DEVICE", device)
    assert TextSettings().device == device


def test_model_process_gets_device_precision_and_threads() -> None:
    settings = TextSettings(device="cpu", precision="fp32", threads=3, max_queue_items=7)
    assert settings.runtime() == RuntimeOptions(device="cpu", precision="fp32", threads=3)


def test_another_model_is_one_variable_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_MODEL_DIRECTORY", "/models/mine")
    assert CaptioningSettings().model_directory == Path("/models/mine")


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.__name__)
def test_every_setting_is_explained(settings: type[ServerSettings]) -> None:
    for variable, _, meaning in settings_rows(settings):
        assert variable.startswith("DIPTYCH_")
        assert variable.isupper()
        assert meaning.endswith("."), variable


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.__name__)
def test_a_name_in_seconds_or_bytes_says_so(settings: type[ServerSettings]) -> None:
    for variable, _, meaning in settings_rows(settings):
        if meaning.startswith("Seconds"):
            assert variable.endswith("_SECONDS")
        if "in bytes" in meaning:
            assert variable.endswith("_BYTES")


def test_default_of_a_row_is_what_the_class_gives() -> None:
    rows = {variable: default for variable, default, _ in settings_rows(ServerSettings)}
    assert rows["DIPTYCH_HOST"] == ServerSettings().host
    assert rows["DIPTYCH_MAX_MESSAGE_BYTES"] == str(ServerSettings().max_message_bytes)


def test_setting_without_a_default_is_required() -> None:
    rows = {variable: default for variable, default, _ in settings_rows(ModelServiceSettings)}
    assert rows["DIPTYCH_MODEL_DIRECTORY"] == "required"


@pytest.mark.parametrize("value", ["", "collector:4317", "http://[::1]:4317", "https://traces.example:443"])
def test_endpoint_of_traces_is_a_host_and_a_port(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_TRACES_ENDPOINT", value)
    assert ServerSettings().traces_endpoint == value
