"""Sentences in Chinese around noun phrases."""

from __future__ import annotations

from collections.abc import Sequence

from services.training.data.scenes.phrases import Chooser, definite, phrase
from services.training.data.scenes.truth import Group
from services.training.data.scenes.wording import BACKGROUND_WORDS, RELATION_WORDS


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
    words = choose(RELATION_WORDS["zh"][kind])
    return f"{text}。{definite(named[subject], 'zh')}在{definite(named[other], 'zh')}{words}。"


def write_list(standing: Sequence[Group], aloft: Sequence[Group], place: str | None, choose: Chooser) -> str:
    """Everything, without a relation."""
    names = _joined([*standing, *aloft], choose)
    plain = _listed(standing, aloft, place, choose)
    if place is None:
        return choose((names, plain, f"有{names}", f"画里有{names}"))
    where = choose(BACKGROUND_WORDS["zh"][place])
    forms = [plain, plain, f"{where}的{names}", f"在{where}，有{names}"]
    if not aloft:
        forms.append(f"{names}在{where}")
    return choose(forms)


def write_under(standing: Sequence[Group], over: Group, place: str | None, choose: Chooser) -> str:
    """Everything that stands, under one thing in the sky."""
    below, above = _joined(standing, choose), phrase(over, "zh", choose)
    under = choose(RELATION_WORDS["zh"]["under"])
    if place is None:
        return choose((f"{above}{under}有{below}", f"{below}在{above}{under}"))
    where = choose(BACKGROUND_WORDS["zh"][place])
    return choose((f"{where}，{above}{under}有{below}", f"{where}，{below}在{above}{under}"))


def write_relation(
    subject: Group,
    kind: str,
    other: Group,
    rest: Sequence[Group],
    place: str | None,
    choose: Chooser,
) -> str:
    """One thing by another, then the rest."""
    a, b = phrase(subject, "zh", choose), phrase(other, "zh", choose)
    words = choose(RELATION_WORDS["zh"][kind])
    text = choose(
        (f"{a}在{b}{words}", f"{a}在{b}{words}", f"{a}位于{b}{words}", f"{b}{words}有{a}", f"{b}{words}是{a}")
    )
    if place:
        where = choose(BACKGROUND_WORDS["zh"][place])
        text = choose((f"{where}，{text}", f"在{where}，{text}"))
    return f"{text}，还有{_joined(rest, choose)}" if rest else text


def _listed(standing: Sequence[Group], aloft: Sequence[Group], place: str | None, choose: Chooser) -> str:
    where = choose(BACKGROUND_WORDS["zh"][place]) if place else ""
    have = f"{where}有" if place else ""
    if not standing:
        return f"{have}{_joined(aloft, choose)}"
    text = f"{have}{_joined(standing, choose)}"
    return f"{text}，天上有{_joined(aloft, choose)}" if aloft else text


def _joined(members: Sequence[Group], choose: Chooser) -> str:
    names = [phrase(group, "zh", choose) for group in members]
    if len(names) == 1:
        return names[0]
    return f"{'、'.join(names[:-1])}和{names[-1]}"
