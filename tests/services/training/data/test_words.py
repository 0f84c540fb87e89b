"""Names, articles and measure words read well in both languages, and no two things share a name."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from services.training.data.chinese import chinese_name, measure_word
from services.training.data.concepts import CORRECTIONS_FILE, EVERYDAY_FILE, read_concepts, slug
from services.training.data.english import article, english_name
from tests.services.training.data.art import write_art


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("woman: beard", "woman with a beard"),
        ("man: bald", "bald man"),
        ("woman running: facing right", "woman running facing right"),
        ("kiss: woman, man", "woman and man kissing"),
        ("couple with heart: man, man", "two men with a heart"),
        ("family: man, woman, girl, girl", "family with a man, a woman and two girls"),
        ("family: adult, child", "family with an adult and a child"),
        ("twelve o’clock", "clock at twelve o'clock"),
        ("half-thirty", "clock at half-thirty"),
        ("T-Rex", "t-rex"),
        ("piñata", "pinata"),
    ],
)
def test_english_labels_become_noun_phrases(label: str, name: str) -> None:
    assert english_name(label) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "a"), ("otter", "an"), ("unicorn", "a"), ("euro banknote", "a"), ("x-ray", "an"),
        ("gloves", ""), ("two hearts", ""), ("octopus", "an"), ("wine glass", "a"), ("butter", ""),
        ("people with bunny ears", ""), ("nest with eggs", "a"), ("man lifting weights", "a"),
    ],
)  # fmt: skip
def test_articles_follow_sound_and_number(name: str, expected: str) -> None:
    assert article(name) == expected


@pytest.mark.parametrize(
    ("label", "english", "subgroup", "name"),
    [
        ("男人: 红发", "man with red hair", "person", "红头发的男人"),
        ("成人: 秃顶", "bald person", "person", "秃顶的人"),
        ("跑步者: 面向右边", "person running facing right", "person-activity", "面向右边跑步的人"),
        ("男生鞠躬", "man bowing", "person-gesture", "鞠躬的男人"),
        ("担心", "worried face", "face-concerned", "担心的脸"),
        ("三点半", "clock at three-thirty", "time", "指着三点半的时钟"),
        ("家庭: 男人女孩女孩", "family with a man and two girls", "family", "由一个男人和两个女孩组成的家庭"),
        ("救护车", "ambulance", "transport-ground", "救护车"),
    ],
)
def test_chinese_labels_become_noun_phrases(label: str, english: str, subgroup: str, name: str) -> None:
    assert chinese_name(label, english, subgroup) == name


@pytest.mark.parametrize(
    ("name", "subgroup", "expected"),
    [
        ("浣熊", "animal-mammal", "只"), ("女法官", "person-role", "位"), ("摩托车", "transport-ground", "辆"),
        ("担心的脸", "face-concerned", "张"), ("老奶奶", "person-role", "位"), ("龙头", "animal-reptile", "只"),
        ("白花", "plant-flower", "朵"), ("图钉", "office", "个"), ("绿色书本", "book-paper", "本"),
    ],
)  # fmt: skip
def test_measure_words_follow_ending_then_subgroup(name: str, subgroup: str, expected: str) -> None:
    assert measure_word(name, subgroup) == expected


def test_tables_name_no_two_things_alike() -> None:
    rows = []
    for file in (EVERYDAY_FILE, CORRECTIONS_FILE):
        with file.open(encoding="utf-8", newline="") as lines:
            rows += list(csv.DictReader(lines))
    for column in ("hex", "en", "zh"):
        counts = Counter(row[column] for row in rows if row[column])
        assert [name for name, count in counts.items() if count > 1] == [], column
    names = {column: {row[column] for row in rows} for column in ("en", "zh")}
    taken = [
        other
        for row in rows
        for column in names
        for other in row[f"{column}_synonyms"].split("|")
        if other in names[column] - {""}
    ]
    assert taken == []


def test_concepts_are_the_everyday_ones_and_then_those_of_the_groups(tmp_path: Path) -> None:
    concepts = read_concepts(write_art(tmp_path, {}))
    assert [one.everyday for one in concepts] == [True] * 250 + [False] * 3  # no flag
    names = {one.concept.id: one.concept for one in concepts}
    fox, redhead = names["fox"], names["man-with-red-hair"]
    assert (fox.measure, fox.zh, fox.en_synonyms, fox.subgroup) == ("只", "狐狸", ("fox face",), "animal-mammal")
    assert (redhead.article, redhead.measure, redhead.zh, redhead.group) == ("a", "个", "红头发的男人", "people-body")
    assert redhead.en_tags == ("tag en",) and redhead.zh_tags == ("tag zh",)


def test_slugs_are_lower_case_words_with_hyphens() -> None:
    assert slug("woman's hat") == "womans-hat"
    assert slug("family with a man, a girl and a boy") == "family-with-a-man-a-girl-and-a-boy"


def test_hand_made_words_are_of_their_language() -> None:
    for file in (EVERYDAY_FILE, CORRECTIONS_FILE):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                assert re.fullmatch(r"[a-z0-9' |-]*", row["en"] + row["en_synonyms"]), row
                assert re.fullmatch(r"[\u4e00-\u9fffA-Z|]*", row["zh"] + row["zh_synonyms"] + row["measure"]), row
                assert row["article"] in ("", "-", "a", "an", "the"), row
