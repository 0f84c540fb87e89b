"""The Python client against a fake gateway: every call, blocking and awaited, with the same results."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diptych.types.v1 import image_pb2
from gateway.client import AsyncDiptych, Diptych, calls
from gateway.client.results import Caption, Encoding, Picture
from gateway.png import decode_png
from shared.codes import Reason
from shared.errors import FailedPreconditionError, InvalidArgumentError
from tests.gateway.client.test_files import room_for
from tests.gateway.fake_gateway import Running


@pytest.fixture
def gateway(fake_gateway: Running) -> Running:
    """A gateway that has seen nothing yet."""
    return fake_gateway


@pytest.fixture
def diptych(gateway: Running) -> Iterator[Diptych]:
    """A client of it."""
    with Diptych(gateway.address) as client:
        yield client


def test_picture_saves_itself_and_knows_its_seed(diptych: Diptych, tmp_path: Path) -> None:
    picture = diptych.text_to_image("a black cat", seed=7)[0]
    path = picture.save(tmp_path / "cat.png")
    assert path == tmp_path / "cat.png"
    assert decode_png(path.read_bytes()).rows[0][:3] == bytes((7, len("a black cat"), 0))
    assert (picture.seed, picture.format, picture.width, picture.height) == (7, "png", 4, 4)
    assert picture.similarity is None
    assert picture.provenance.prompt == "a black cat"
    assert picture.provenance.pixel_sha256 == picture.pixel_sha256
    assert [stage.model.name for stage in picture.stages] == ["fake-text", "fake-generation"]


def test_picture_is_not_saved_under_the_name_of_another_format(diptych: Diptych, tmp_path: Path) -> None:
    picture = diptych.text_to_image("cat", seed=1)[0]
    with pytest.raises(ValueError, match=r"named as jpeg; the picture is png: ask for format='jpeg'"):
        picture.save(tmp_path / "cat.jpg")
    assert not (tmp_path / "cat.jpg").exists()


def test_picture_that_cannot_be_saved_leaves_the_one_that_was_there(diptych: Diptych, tmp_path: Path) -> None:
    first = diptych.text_to_image("cat", seed=1)[0]
    path = first.save(tmp_path / "cat.png")
    with room_for(10), pytest.raises(OSError, match="File too large"):
        diptych.text_to_image("cat", seed=2)[0].save(path)
    assert path.read_bytes() == first.data


def test_first_seed_is_followed_by_the_next_ones(diptych: Diptych) -> None:
    assert [each.seed for each in diptych.text_to_image("cat", seed=2**64 - 1, count=2)] == [2**64 - 1, 0]
    assert [each.seed for each in diptych.text_to_image("cat", seeds=[5, 3])] == [5, 3]
    assert len(diptych.text_to_image("cat", count=3)) == 3


def test_candidates_come_with_their_similarity(diptych: Diptych, gateway: Running) -> None:
    pictures = diptych.text_to_image("cat", seed=7, count=2, candidates=4)
    assert [each.similarity for each in pictures] == pytest.approx([0.5, 0.49])
    sent = gateway.behaviour.calls[0].request
    assert (list(sent.seeds), sent.image_count, sent.candidates) == ([7, 8, 9, 10], 2, 4)


def test_format_quality_space_and_prompt_travel(diptych: Diptych, gateway: Running) -> None:
    [picture] = diptych.text_to_image("cat", format="jpg", quality=80, embed_prompt=False, space="space-a")
    sent = gateway.behaviour.calls[0].request
    assert (sent.format, sent.quality, sent.embed_prompt) == (image_pb2.IMAGE_FORMAT_JPEG, 80, False)
    assert sent.space == "space-a"
    assert (picture.format, picture.provenance.prompt) == ("jpeg", "")


def test_stream_gives_each_picture_with_its_place(diptych: Diptych) -> None:
    streamed = list(diptych.stream_text_to_image("cat", seed=7, count=3))
    assert [(index, picture.seed) for index, picture in streamed] == [(2, 9), (1, 8), (0, 7)]


def test_images_may_be_paths_bytes_and_pictures_one_or_many(diptych: Diptych, tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(b"12345")
    painted = diptych.text_to_image("cat", seed=7)[0]
    for one in (file, str(file), b"12345"):
        assert [each.text for each in diptych.image_to_text(one, language="zh")] == ["zh: 5 bytes, 1"]
    many = diptych.image_to_text([file, b"1", painted], language="en")
    assert [each.text.split()[1] for each in many] == ["5", "1", str(len(painted.data))]


def test_description_has_captions_with_scores_and_labels(diptych: Diptych) -> None:
    [said] = diptych.image_to_text(b"1", language="en", candidates=2, top_k=1)
    assert (said.text, said.score) == ("en: 1 bytes, 1", -0.5)
    assert said.captions[1] == Caption(text="en: 1 bytes, 2", score=-1.0)
    assert [(label.text, label.probability) for label in said.labels] == [("en label 0", 0.5)]


def test_heads_are_answered_by_name(diptych: Diptych) -> None:
    [said] = diptych.image_to_text(b"1", heads=["objects", "style"])
    [seen] = diptych.classify_image(b"1", heads=["objects"])
    assert {head: labels[0].text for head, labels in said.heads.items()} == {
        "objects": "objects label",
        "style": "style label",
    }
    assert list(seen.heads) == ["objects"]
    with pytest.raises(TypeError, match="heads is one name, 'objects'; it must be a list of names"):
        diptych.classify_image(b"1", heads="objects")


def test_captions_are_drawn_where_seed_or_temperature_is_said(diptych: Diptych, gateway: Running) -> None:
    [searched], [seeded] = diptych.image_to_text(b"1"), diptych.image_to_text(b"1", seed=0)
    [warm] = diptych.image_to_text(b"1", temperature=0.5, top_p=0.25)
    assert (searched.seed, seeded.seed, warm.seed) == (None, 0, 99)
    sampling = gateway.behaviour.calls[-1].request.sampling
    assert (sampling.HasField("seed"), sampling.temperature, sampling.top_p) == (False, 0.5, 0.25)
    with pytest.raises(InvalidArgumentError, match=r"seed is -1; it must be 0 to"):
        diptych.image_to_text(b"1", seed=-1)


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_chance_of_nothing_is_refused_for_on_the_wire_it_would_be_the_usual(diptych: Diptych, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"sampling.{name} is 0; it must be above 0"):
        diptych.image_to_text(b"1", **{name: 0.0})  # type: ignore[arg-type]


def test_classification_is_by_the_models_labels_or_ones_own(diptych: Diptych) -> None:
    assert diptych.classify_image(b"1", language="zh", top_k=2)[0].labels[1].text == "zh label 1"
    [own] = diptych.classify_image(b"1", ["cat", "狗"])
    assert [(label.id, label.text) for label in own.labels] == [("0", "cat"), ("1", "狗")]
    assert (own.text, own.probability) == ("cat", 0.5)


def test_encodings_of_one_space_are_compared(diptych: Diptych) -> None:
    [text], [image] = diptych.encode_text("123"), diptych.encode_image(b"12")
    assert (text.space, text.vector) == ("space-a", (1.0, 3.0))
    assert text.similarity(image) == 1.0 + 3.0 * 2.0
    assert [each.vector for each in diptych.encode_text(["1", "22"])] == [(1.0, 1.0), (1.0, 2.0)]


def test_encodings_of_two_spaces_are_not_compared() -> None:
    one, other = (Encoding(space=space, vector=(1.0,), stages=()) for space in ("old", "new"))
    with pytest.raises(ValueError, match="'old' and 'new'"):
        one.similarity(other)


def test_capabilities_are_typed(diptych: Diptych) -> None:
    found = diptych.capabilities()
    assert (found.limits.prompt_characters, found.languages, found.output_formats) == (
        500,
        ("en", "zh"),
        ("png", "webp"),
    )
    assert [service.name for service in found.services] == ["text", "classification", "generation", "captioning"]
    up, down = found.services[0].replicas
    assert up.serving and up.model is not None and up.model.name == "fake-text"
    assert (down.serving, down.reason, down.model) == (False, "connection refused", None)


def test_refusal_is_an_error_of_the_tree_with_reason_and_field(diptych: Diptych) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        diptych.image_to_text([b"1", b"bad"])
    assert (caught.value.field, caught.value.reason) == ("images[1]", Reason.IMAGE_UNREADABLE)
    with pytest.raises(FailedPreconditionError) as refused:
        diptych.text_to_image("cat", space="elsewhere")
    assert refused.value.reason is Reason.SPACE_NOT_SERVED


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seeds": [1, 2**64]}, "seeds[1]"),
        ({"seed": 1, "seeds": [1]}, "seeds"),
        ({"format": "gif"}, "format"),
        ({"count": -1}, ""),
        ({"prompt": "\udcff"}, "prompt"),
    ],
)
def test_argument_that_cannot_travel_is_refused_like_any_other(
    diptych: Diptych, gateway: Running, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        diptych.text_to_image(**{"prompt": "cat", **arguments})
    assert caught.value.field == field
    assert caught.value.reason in (Reason.FIELD_INVALID, Reason.MALFORMED_MESSAGE)
    assert gateway.behaviour.calls == []


def test_file_that_is_not_there_is_an_os_error(diptych: Diptych, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        diptych.image_to_text(tmp_path / "none.png")


CALLS: list[tuple[Callable[[Diptych], Any], Callable[[AsyncDiptych], Awaitable[Any]]]] = [
    (lambda d: d.text_to_image("cat", seed=7, count=2), lambda d: d.text_to_image("cat", seed=7, count=2)),
    (lambda d: d.image_to_text([b"1"], language="zh"), lambda d: d.image_to_text([b"1"], language="zh")),
    (lambda d: d.classify_image(b"1", ["cat"]), lambda d: d.classify_image(b"1", ["cat"])),
    (lambda d: d.encode_text("cat"), lambda d: d.encode_text("cat")),
    (lambda d: d.encode_image(b"1"), lambda d: d.encode_image(b"1")),
    (lambda d: d.capabilities(), lambda d: d.capabilities()),
]


async def test_both_clients_return_the_same(gateway: Running) -> None:
    async with AsyncDiptych(gateway.address) as awaited:
        with Diptych(gateway.address) as blocking:
            for call, coroutine in CALLS:
                assert await coroutine(awaited) == call(blocking)
            streamed = [each async for each in awaited.stream_text_to_image("cat", seed=7, count=3)]
            assert streamed == list(blocking.stream_text_to_image("cat", seed=7, count=3))


def test_both_clients_have_every_call_with_its_arguments() -> None:
    made = {name: each for name, each in vars(calls).items() if inspect.isfunction(each) and name[0] != "_"}
    made = {name: each for name, each in made.items() if each.__module__ == calls.__name__}
    assert len(made) == 7
    for name, each in made.items():
        for client in (Diptych, AsyncDiptych):
            method = getattr(client, name)
            assert list(inspect.signature(method).parameters)[1:] == list(inspect.signature(each).parameters)
            assert method.__doc__ == each.__doc__


def test_picture_of_a_client_is_a_picture(diptych: Diptych) -> None:
    assert isinstance(diptych.text_to_image("cat", seed=1)[0], Picture)
