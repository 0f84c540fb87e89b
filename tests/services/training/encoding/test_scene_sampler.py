"""Batches of scenes: what texts say, what is true, and what is nearly right."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from services.training.data.scenes.captions import caption
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.composer import compose
from services.training.data.scenes.parser import parse
from services.training.data.scenes.pool import CELLS, ScenePool, build_pool, cell_map, read_pool
from services.training.data.scenes.splits import held_out_backgrounds, held_out_colours
from services.training.data.scenes.sprites import write_sprites
from services.training.data.scenes.truth import Fact, Scene, SceneObject, find_relations, true_facts
from services.training.encoding.scene_facts import FactIndex, scene_facts
from services.training.encoding.scene_sampler import SceneSampler, near_miss
from tests.services.training.data.scenes.drawings import STYLES, sprites

INDEX = FactIndex(kinds=tuple(object_classes()), colours=tuple(COLOURS), backgrounds=BACKGROUNDS)


class _AsItIs:
    """Lessons that change no word."""

    generator = random.Random(0)

    def reworded(self, text: str, language: str) -> str:
        return text


class _Numbered:
    """Lessons that put a number, drawn at random, behind the text."""

    def __init__(self) -> None:
        self.generator = random.Random(0)

    def reworded(self, text: str, language: str) -> str:
        return f"{text} {self.generator.random()}"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ScenePool:
    """48 scenes in two chunks."""
    folder: Path = tmp_path_factory.mktemp("pool")
    write_sprites(sprites(), folder / "sprites.tar")
    build_pool(folder / "pool", folder / "sprites.tar", count=48, first_seed=0, split="train", workers=1, chunk=24)
    return read_pool(folder / "pool")


def test_a_pool_holds_the_very_scenes_that_their_seeds_compose(pool: ScenePool) -> None:
    composed = compose(30, sprites())
    assert pool.scenes[30] == composed.scene
    assert np.array_equal(pool.pictures([30])[0], composed.pixels)
    assert np.array_equal(pool.cells[30], cell_map(composed.instances))


def test_a_cell_shows_the_object_that_covers_most_of_it() -> None:
    instances = np.zeros((128, 128), np.uint8)
    instances[0:8, 0:8] = 2
    instances[0:8, 0:3] = 1
    instances[8:16, 8:10] = 1  # a quarter of its cell
    cells = cell_map(instances)
    assert cells.shape == (CELLS, CELLS)
    assert cells[0, 0] == 2
    assert cells[1, 1] == 0


def _object(kind: str, x: float, colour: str | None = None) -> SceneObject:
    return SceneObject(kind=kind, colour=colour, verb=None, stance="ground", box=(x, 0.5, x + 0.2, 0.8), depth=0.5,
                       visible=400, mirrored=False, sprite=0)  # fmt: skip


def _scene(*objects: SceneObject) -> Scene:
    return Scene(seed=0, style="noto", background="meadow", objects=objects, relations=find_relations(objects))


def test_a_near_miss_swaps_the_colours_or_the_places_of_two_kinds() -> None:
    scene = _scene(_object("cat", 0.1, "black"), _object("dog", 0.6, "red"))
    seen = set()
    for seed in range(20):
        missed = near_miss(scene, random.Random(seed))
        seen.add(tuple((one.kind, one.colour) for one in missed.objects))
        assert missed.relations == find_relations(missed.objects)
    assert seen == {(("cat", "red"), ("dog", "black")), (("dog", "red"), ("cat", "black"))}


def test_one_kind_alone_has_no_near_miss() -> None:
    scene = _scene(_object("cat", 0.1))
    assert near_miss(scene, random.Random(0)) == scene


def test_a_near_miss_is_true_of_no_scene_of_the_batch(pool: ScenePool) -> None:
    batch = SceneSampler(pool, INDEX, _AsItIs(), styles=STYLES, seed=4).draw(48)  # type: ignore[arg-type]
    assert batch.near_misses
    for text in batch.near_misses:
        told = parse(text, "en" if text.isascii() else "zh")
        assert not [scene for scene in pool.scenes if told <= true_facts(scene)], text


def test_no_near_miss_tells_a_pair_that_is_held_out() -> None:
    held = sorted(held_out_colours())
    colour, kind = next(one for one in held if (one[1], "meadow") not in held_out_backgrounds())
    own, other = ("cat", "dog")[kind == "cat"], next(one for one in COLOURS if (one, kind) not in held)
    scene = _scene(_object(kind, 0.1, other), _object(own, 0.6, colour))
    pool = ScenePool(pixels=[np.zeros((16, 128, 128, 3), np.uint8)], cells=np.zeros((16, CELLS, CELLS), np.uint8),
                     scenes=[scene] * 16)  # fmt: skip
    sampler = SceneSampler(pool, INDEX, _AsItIs(), styles=STYLES, seed=5)  # type: ignore[arg-type]
    texts = [text for _ in range(8) for text in sampler.draw(16).near_misses]
    assert texts
    for text in texts:
        assert Fact("colour", (kind, colour)) not in parse(text, "en" if text.isascii() else "zh"), text


def test_every_fact_of_a_caption_has_a_column_but_verbs(pool: ScenePool) -> None:
    for number, scene in enumerate(pool.scenes):
        facts = caption(scene, "en", random.Random(number)).facts
        columns = INDEX.columns(facts)
        wanted = sum({"verb": 0, "relation": 2}.get(fact.kind, 1) for fact in facts)
        assert len(columns) == wanted
        assert max(columns) < INDEX.width


def test_different_facts_have_different_columns() -> None:
    facts = [
        Fact("object", ("cat",)), Fact("object", ("dog",)),
        Fact("colour", ("cat", "red")), Fact("colour", ("dog", "red")),
        Fact("count", ("cat", "2")), Fact("count", ("cat", "3")), Fact("background", ("sea",)),
    ]  # fmt: skip
    columns = [INDEX.columns([fact])[0] for fact in facts]
    assert len(set(columns)) == len(facts)
    assert max(columns) < INDEX.unordered
    first = INDEX.columns([Fact("relation", ("cat", "left-of", "dog"))])
    second = INDEX.columns([Fact("relation", ("dog", "left-of", "cat"))])
    assert min(first + second) >= INDEX.unordered
    assert not set(first) & set(second)


def test_a_text_fits_every_picture_of_which_it_is_true(pool: ScenePool) -> None:
    sampler = SceneSampler(pool, INDEX, _AsItIs(), styles=STYLES, seed=1)  # type: ignore[arg-type]
    batch = sampler.draw(24)
    assert batch.fits.diagonal().all()
    assert not batch.fits.all()
    for text in range(24):
        for picture in np.flatnonzero(batch.fits[text].numpy()):
            stated = batch.text_facts[text, : INDEX.unordered]
            assert picture == text or (stated <= batch.picture_facts[picture, : INDEX.unordered]).all()


def test_cells_name_kinds_and_colours_that_the_scene_has(pool: ScenePool) -> None:
    batch = SceneSampler(pool, INDEX, _AsItIs(), styles=STYLES, seed=2).draw(16)  # type: ignore[arg-type]
    for row in range(16):
        shown = {int(kind) for kind in batch.kind_cells[row].unique() if kind >= 0}
        true = set(np.flatnonzero(batch.picture_facts[row, : len(INDEX.kinds)].numpy()))
        assert shown and shown <= true
    assert ((batch.colour_cells >= 0) <= (batch.kind_cells >= 0)).all()


def test_equal_seeds_give_equal_batches(pool: ScenePool) -> None:
    one, other = (SceneSampler(pool, INDEX, _AsItIs(), styles=STYLES, seed=3).draw(8) for _ in range(2))  # type: ignore[arg-type]
    assert list(one.texts) == list(other.texts)


def test_the_states_of_the_generators_are_all_that_the_next_batch_depends_on(pool: ScenePool) -> None:
    sampler = SceneSampler(pool, INDEX, _Numbered(), styles=STYLES, seed=3)  # type: ignore[arg-type]
    states = {name: generator.getstate() for name, generator in sampler.generators.items()}
    first = sampler.draw(24).texts
    for name, generator in sampler.generators.items():
        generator.setstate(states[name])
    assert sampler.draw(24).texts == first


def test_scene_facts_count_what_there_is_more_of_than_one() -> None:
    facts = scene_facts(_scene(_object("cat", 0.1), _object("cat", 0.4), _object("dog", 0.7, "red")))
    assert facts == {
        Fact("background", ("meadow",)), Fact("object", ("cat",)), Fact("object", ("dog",)),
        Fact("count", ("cat", "2")), Fact("colour", ("dog", "red")),
    }  # fmt: skip
