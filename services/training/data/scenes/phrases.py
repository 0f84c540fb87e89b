"""Noun phrases in both languages: number, colour, verb and name in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.truth import Group
from services.training.data.scenes.wording import DEFINITE, NUMBERS, VERB_WORDS

Chooser = Callable[[Sequence[str]], str]


def first(options: Sequence[str]) -> str:
    """The canonical one."""
    return options[0]


def phrase(group: Group, language: str, choose: Chooser) -> str:
    """A group in words: `two black cats`, `两只黑猫`, `a running man`."""
    return _english(group, choose) if language == "en" else _chinese(group, choose)


def definite(group: Group, language: str) -> str:
    """A group that was named before: `the cat`, `猫`."""
    each = object_classes()[group.kind]
    if language == "zh":
        return each.zh[0]
    return f"the {each.names[0] if group.count == 1 else each.plurals[0]}"


def _english(group: Group, choose: Chooser) -> str:
    each = object_classes()[group.kind]
    noun = choose(each.names if group.count == 1 else each.plurals)
    words = [group.colour] if group.colour else []
    after = ""
    if group.verb:
        verb = choose(VERB_WORDS["en"][group.verb])
        if choose(("after", "before")) == "after":
            after = f" {verb}"
        else:
            words.append(verb)
    words.append(noun)
    if group.count > 1:
        return f"{NUMBERS['en'][group.count]} {' '.join(words)}{after}"
    if group.kind in DEFINITE:
        return f"the {' '.join(words)}{after}"
    vowel = words[0][0] in "aeio" or words[0] == "umbrella"
    article = "an" if vowel and words[0] != "ewe" else "a"
    return f"{article} {' '.join(words)}{after}"


def _chinese(group: Group, choose: Chooser) -> str:
    each = object_classes()[group.kind]
    noun = choose(each.zh)
    colour = verb = ""
    if group.colour:
        short = COLOURS[group.colour].zh
        colour = f"{short}色的"
        if len(noun) == 1 and choose(("long", "short")) == "short":
            colour = short
    if group.verb:
        verb = f"{choose(('正在', ''))}{choose(VERB_WORDS['zh'][group.verb])}的"
    number = NUMBERS["zh"][group.count]
    if group.kind in DEFINITE and group.count == 1 and not colour:
        return noun
    return f"{number}{each.measure}{verb}{colour}{noun}"
