"""Which words the tests of paraphrases keep out of training captions."""

from __future__ import annotations

from services.training.rewording.chinese import hand_written_captions
from services.training.rewording.english import unseen_synonyms


def words_of_tests() -> frozenset[str]:
    """The words that the tests of paraphrases count as unseen, in both languages."""
    english = {word for each in unseen_synonyms() for word in (each.word, each.plural) if word}
    return frozenset(english.union(*(caption.unseen for caption in hand_written_captions())))


def tells(word: str, asked: frozenset[str]) -> bool:
    """Whether a caption with `word` would make one of `asked` no test of unseen words.

    Chinese has no spaces: what is a part of one, as 轿车 is of 小轿车, gives it away as well,
    and so does what has one in it.
    """
    return word in asked or (not word.isascii() and any(word in each or each in word for each in asked))
