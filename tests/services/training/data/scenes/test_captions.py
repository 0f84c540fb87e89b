"""Captions state what the scene shows, and the parser reads back exactly what they state."""

from __future__ import annotations

import random
import re
from functools import cache

import pytest

from services.training.data.scenes.captions import canonical_caption, caption, noun_phrase
from services.training.data.scenes.composer import compose, compose_like
from services.training.data.scenes.english import write_relation
from services.training.data.scenes.parser import parse
from services.training.data.scenes.plan import Plan, plan_from_facts
from services.training.data.scenes.truth import Fact, Group, Scene, groups, true_facts
from tests.services.training.data.scenes.drawings import sprites

ENGLISH_PROMPT = "a black cat and a blue tulip on the grass under a rainbow"
CHINESE_PROMPT = "一只乌龟在一只老虎的左边"


@cache
def scenes() -> list[Scene]:
    return [compose(seed, sprites(), side=64).scene for seed in range(60)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_parser_reads_back_what_every_caption_states_and_all_of_it_is_true(language: str) -> None:
    for scene in scenes():
        written = [caption(scene, language, random.Random(f"{scene.seed}/{draw}")) for draw in range(6)]
        for each in (*written, canonical_caption(scene, language)):
            assert parse(each.text, language) == each.facts, each.text
            assert each.facts <= true_facts(scene), each.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_canonical_caption_states_every_object_and_the_background(language: str) -> None:
    for scene in scenes():
        facts = canonical_caption(scene, language).facts
        assert {fact for fact in true_facts(scene) if fact.kind != "relation"} <= facts
        assert sum(fact.kind == "relation" for fact in facts) <= 1


def test_captions_vary_in_words_and_in_what_they_leave_out() -> None:
    scene = scenes()[0]
    written = [caption(scene, "en", random.Random(draw)) for draw in range(60)]
    assert len({each.text for each in written}) > 15
    assert len({each.facts for each in written}) > 3
    named = sum(any(fact.kind == "background" for fact in each.facts) for each in written)
    assert 30 < named < 55


def test_prompts_of_the_demo_are_sentences_of_the_grammar() -> None:
    plan = plan_from_facts(parse(ENGLISH_PROMPT, "en"))
    assert plan.background == "meadow"
    assert {(each.kind, each.colour) for each in plan.groups} == {
        ("cat", "black"),
        ("tulip", "blue"),
        ("rainbow", None),
    }
    assert set(plan.relations) == {("cat", "under", "rainbow"), ("tulip", "under", "rainbow")}
    assert parse(CHINESE_PROMPT, "zh") == {
        Fact("object", ("turtle",)), Fact("object", ("tiger",)), Fact("relation", ("turtle", "left-of", "tiger")),
    }  # fmt: skip


@pytest.mark.parametrize(("prompt", "language"), [(ENGLISH_PROMPT, "en"), (CHINESE_PROMPT, "zh")])
def test_prompts_of_the_demo_can_be_composed_and_written(prompt: str, language: str) -> None:
    plan = plan_from_facts(parse(prompt, language))
    scene = compose_like(plan, 0, sprites()).scene
    assert parse(prompt, language) <= true_facts(scene)
    assert any(caption(scene, language, random.Random(draw)).text == prompt for draw in range(20_000))


def test_parser_passes_over_words_it_does_not_know() -> None:
    assert parse("Wow, a really cute red car!", "en") == {Fact("object", ("car",)), Fact("colour", ("car", "red"))}
    assert parse("哇，三只可爱的鸟！", "zh") == {Fact("object", ("bird",)), Fact("count", ("bird", "3"))}
    assert parse("", "en") == frozenset()


def test_a_colour_belongs_to_the_next_noun_alone() -> None:
    assert parse("一只红色的鸟和太阳", "zh") == {
        Fact("object", ("bird",)), Fact("colour", ("bird", "red")), Fact("object", ("sun",)),
    }  # fmt: skip


def test_noun_phrases_say_colour_and_article() -> None:
    plan = Plan(groups=(Group(kind="cat", colour="black", verb=None, count=1),))
    cat = compose_like(plan, 1, sprites()).scene.objects[0]
    assert noun_phrase(cat, "en", random.Random(0)) == "a black cat"
    assert {noun_phrase(cat, "zh", random.Random(draw)) for draw in range(20)} >= {"一只黑猫", "一只黑色的猫"}


@pytest.mark.parametrize(
    ("kind", "relation", "trailing"),
    [("man", "left-of", "on his left"), ("woman", "behind", "behind her"), ("cow", "right-of", "on its right")],
)
def test_people_are_no_it(kind: str, relation: str, trailing: str) -> None:
    dog, other = (Group(kind=each, colour=None, verb=None, count=1) for each in ("dog", kind))
    texts = {write_relation(dog, relation, other, [], None, random.Random(draw).choice, on=True) for draw in range(300)}
    assert any(text.endswith(trailing) for text in texts)
    for text in texts:
        assert Fact("relation", ("dog", relation, kind)) in parse(text, "en"), text
        assert kind == "cow" or not re.search(r"\bits?\b", text), text


def test_groups_count_what_is_alike() -> None:
    plan = Plan(groups=(Group(kind="bird", colour=None, verb=None, count=3),), background="meadow")
    scene = compose_like(plan, 2, sprites()).scene
    assert [(each.kind, each.count) for each in groups(scene)] == [("bird", 3)]
    assert parse(canonical_caption(scene, "en").text, "en") >= {Fact("count", ("bird", "3"))}
