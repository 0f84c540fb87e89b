"""Sentences in English around noun phrases."""

from __future__ import annotations

from collections.abc import Sequence

from services.training.data.scenes.phrases import Chooser, definite, phrase
from services.training.data.scenes.truth import Group
from services.training.data.scenes.wording import (
    BACKGROUND_WORDS,
    PRONOUNS,
    RELATION_WORDS,
    SCENE_WORDS,
    TRAILING_RELATIONS,
)


def write_all(
    standing: Sequence[Group],
    aloft: Sequence[Group],
    place: str | None,
    relation: tuple[str, str, str] | None,
    choose: Chooser,
) -> str:
    """Everything in one sentence, and a second one for the relation."""
    text = _listed(standing, aloft, place, choose)
    if relation is None:
        return text
    named = {group.kind: group for group in (*standing, *aloft)}
    subject, kind, other = relation
    verb = "is" if named[subject].count == 1 else "are"
    words = choose(RELATION_WORDS["en"][kind])
    return f"{text}. {definite(named[subject], 'en')} {verb} {words} {definite(named[other], 'en')}."


def write_list(standing: Sequence[Group], aloft: Sequence[Group], place: str | None, choose: Chooser) -> str:
    """Everything, without a relation."""
    names = _joined([*standing, *aloft], choose)
    plain = _listed(standing, aloft, place, choose)
    are = "is" if (*standing, *aloft)[0].count == 1 else "are"  # as the nearest noun has it
    if place is None:
        return choose((names, plain, f"there {are} {names}", f"a picture of {names}"))
    where, scene = choose(BACKGROUND_WORDS["en"][place]), choose(SCENE_WORDS[place])
    return choose((
        plain,
        plain,
        f"{scene} with {names}",
        f"{where}, there {are} {names}",
        f"a picture of {plain}",
    ))  # fmt: skip


def write_under(standing: Sequence[Group], over: Group, place: str | None, choose: Chooser) -> str:
    """Everything that stands, under one thing in the sky."""
    below, above = _joined(standing, choose), phrase(over, "en", choose)
    under = choose(RELATION_WORDS["en"]["under"])
    if place is None:
        return f"{below} {under} {above}"
    where = choose(BACKGROUND_WORDS["en"][place])
    return choose((f"{below} {where} {under} {above}", f"{where}, {below} {under} {above}"))


def write_relation(
    subject: Group,
    kind: str,
    other: Group,
    rest: Sequence[Group],
    place: str | None,
    choose: Chooser,
    *,
    on: bool,
) -> str:
    """One thing by another, then the rest. `on`: the subject itself stands in the place."""
    a, b = phrase(subject, "en", choose), phrase(other, "en", choose)
    verb = "is" if subject.count == 1 else "are"
    words = choose(RELATION_WORDS["en"][kind])
    forms = [f"{a} {words} {b}", f"{a} {words} {b}", f"{a} {verb} {words} {b}"]
    if kind in TRAILING_RELATIONS and other.count == 1:
        # "a dog with a cat on its left": the cat is left of the dog.
        its, it = PRONOUNS.get(other.kind, ("its", "it"))
        trailing = choose(TRAILING_RELATIONS[kind]).format(its if kind in ("left-of", "right-of") else it)
        forms.append(f"{b} with {a} {trailing}")
    text = choose(forms)
    if place:
        where = choose(BACKGROUND_WORDS["en"][place])
        text = choose((f"{text} {where}", f"{where}, {text}")) if on else f"{where}, {text}"
    return f"{text}, with {_joined(rest, choose)}" if rest else text


def _listed(standing: Sequence[Group], aloft: Sequence[Group], place: str | None, choose: Chooser) -> str:
    where = f" {choose(BACKGROUND_WORDS['en'][place])}" if place else ""
    if not standing:
        return f"{_joined(aloft, choose)}{where}"
    text = f"{_joined(standing, choose)}{where}"
    return f"{text} with {_joined(aloft, choose)}" if aloft else text


def _joined(members: Sequence[Group], choose: Chooser) -> str:
    names = [phrase(group, "en", choose) for group in members]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
