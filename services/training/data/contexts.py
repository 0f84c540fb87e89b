"""Longer sentences around a thing: what people write beside the noun, which must not move its meaning."""

from __future__ import annotations

import random
from dataclasses import dataclass

from services.training.data.english import indefinite
from services.training.data.pack import Concept

_EN_ADJECTIVES = (
    "big", "small", "tiny", "huge", "old", "young", "new", "happy", "sad", "funny", "fresh", "sweet", "shiny",
    "bright",
    "soft", "warm", "cold", "fast", "wild", "lonely", "elegant", "delicious", "colourful", "beautiful", "cute little",
    "very nice", "fluffy", "magical", "lovely", "friendly", "juicy", "wonderful", "round", "simple", "realistic",
)  # fmt: skip
_EN_TAILS = (
    "on the grass", "in the snow", "on a table", "in the sky", "under a tree", "at night", "in space", "by the sea",
    "in the garden", "on the beach", "in a box", "in the forest", "on the street", "in my kitchen", "for my birthday",
    "sitting on the floor", "standing in a field", "that is smiling", "looking at me", "flying over the city",
    "running in the park", "playing with a ball", "with a smile", "made of paper", "for a children's book",
    "in the morning", "on a sunny day", "in the rain", "with big eyes", "from the side", "in the style of an icon",
    "for my dog", "as a logo", "i would like to have", "which i saw yesterday", "eating breakfast", "at home",
)  # fmt: skip
_EN_PAIRS = (
    "{} next to {}",
    "{} with {}",
    "{} on {}",
    "{} over {}",
    "{} in front of {}",
    "{} and not {}",
    "{} near {}",
)
_EN_HEADS = (
    "{}", "{}", "{}", "i would like {}", "could you draw {}", "a nice picture of {}", "give me {}", "make {}",
    "a high quality image of {}", "my favourite thing is {}", "look, {}", "imagine {}", "can i have {}",
)  # fmt: skip
_ZH_ADJECTIVES = (
    "大", "小", "很大的", "很小的", "可爱的", "开心的", "漂亮的", "老", "新鲜的", "奇怪的", "孤独的",
    "五颜六色的", "闪闪发光的", "好吃的",
    "毛茸茸的", "美丽的", "圆圆的", "有趣的", "快乐的", "安静的",
)  # fmt: skip
_ZH_PLACES = (
    "草地上的", "雪地里的", "桌子上的", "天空中的", "树下的", "夜晚的", "太空中的", "海边的", "花园里的",
    "沙滩上的", "森林里的", "街上的", "厨房里的",
    "正在微笑的", "坐在地上的", "正在飞的", "正在跑的", "看着我的", "我家的", "我昨天看到的", "阳光下的",
    "雨中的", "早上的",
)  # fmt: skip
_ZH_PAIRS = ("{1}旁边的{0}", "在{1}上的{0}", "{1}前面的{0}", "{0}和{1}", "{1}附近的{0}")
_ZH_HEADS = (
    "{}", "{}", "{}", "我想要{}", "请帮我画{}", "一张好看的{}的图片", "给我看看{}", "你能画{}吗", "我最喜欢{}",
    "想象{}", "这是{}吧",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """Two texts that must have one vector."""

    plain: str
    in_context: str


def random_paraphrase(concept: Concept, other: Concept, rng: random.Random) -> Paraphrase:
    """A plain noun phrase for `concept`, and a sentence about it in which `other` may appear beside it."""
    write = _english if rng.random() < 0.55 else _chinese
    return write(concept, other, rng)


def _english(concept: Concept, other: Concept, rng: random.Random) -> Paraphrase:
    noun = rng.choice((concept.en, concept.en, *concept.en_synonyms))
    before = rng.choice(("a", "the", "", "my", "one"))
    plain = _with_word(before, noun)
    if rng.random() < 0.5:
        noun = f"{rng.choice(_EN_ADJECTIVES)} {noun}"
    phrase = _with_word(before, noun)
    shape = rng.random()
    if shape < 0.3:
        phrase = rng.choice(_EN_PAIRS).format(phrase, _with_word(rng.choice(("a", "the", "some")), other.en))
    elif shape < 0.8:
        phrase = f"{phrase} {rng.choice(_EN_TAILS)}"
    return Paraphrase(
        plain=plain, in_context=rng.choice(_EN_HEADS).format(phrase) + rng.choice(("", "", ".", "!", "?"))
    )


def _with_word(before: str, noun: str) -> str:
    return f"{indefinite(noun) if before == 'a' else before} {noun}".strip()


def _chinese(concept: Concept, other: Concept, rng: random.Random) -> Paraphrase:
    noun = rng.choice((concept.zh, concept.zh, *concept.zh_synonyms))
    measured = rng.choice(("", f"一{concept.measure}", "一个"))
    plain = measured + noun
    if rng.random() < 0.5:
        noun = rng.choice(_ZH_ADJECTIVES) + noun
    phrase = measured + noun
    shape = rng.random()
    if shape < 0.3:
        phrase = rng.choice(_ZH_PAIRS).format(phrase, other.zh)
    elif shape < 0.8:
        phrase = rng.choice((rng.choice(_ZH_PLACES) + phrase, measured + rng.choice(_ZH_PLACES) + noun))
    return Paraphrase(plain=plain, in_context=rng.choice(_ZH_HEADS).format(phrase) + rng.choice(("", "", "。", "!")))
