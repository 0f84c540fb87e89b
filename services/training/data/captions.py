"""Words for pictures: captions of many shapes in English and Chinese, drawn at random for training."""

from __future__ import annotations

import random
from dataclasses import dataclass

from services.training.data.english import article, indefinite
from services.training.data.pack import Concept

STYLE_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fluent-3d": (("3d", "3d render", "rendered"), ("3d", "立体", "三维")),
    "fluent-color": (("fluent", "gradient", "shaded"), ("渐变", "流畅", "光影")),
    "fluent-flat": (("flat", "flat design", "simple flat"), ("扁平", "平面", "扁平化")),
    "noto": (("noto", "cartoon", "google"), ("卡通", "谷歌", "漫画")),
    "noto-v1": (("old noto", "retro", "blob"), ("复古", "怀旧", "老式")),
    "twemoji": (("twemoji", "twitter", "minimal"), ("推特", "简约", "极简")),
    "emojione": (("emojione", "glossy", "emoji one"), ("手绘", "光泽", "明亮")),
    "fluent-mono": (("monochrome", "black and white", "high contrast"), ("单色", "黑白", "高对比")),
    "emojione-mono": (("stencil", "silhouette", "solid black"), ("剪影", "纯黑", "镂空")),
    "fxemoji": (("fxemoji", "firefox", "mozilla"), ("火狐", "谋智", "撞色")),
    "streamline": (("streamline", "outlined", "line art"), ("线条", "描边", "勾线")),
}
"""English and Chinese words that name a style."""

LOOSE_SHARE = 0.03

_ADJECTIVES = ("cute", "little", "nice", "beautiful", "small", "single", "lovely", "pretty", "simple")
_EN_FRAMES = (
    "{}", "{}", "{}", "{}",
    "a picture of {}", "an image of {}", "a drawing of {}", "an icon of {}", "an illustration of {}", "a photo of {}",
    "draw {}", "draw me {}", "show me {}", "please paint {}", "i want to see {}", "this is {}", "here is {}",
    "there is {}",
    "{} on a white background", "{} please", "picture: {}",
)  # fmt: skip
_ZH_FRAMES = (
    "{}", "{}", "{}", "{}",
    "{}的图片", "一张{}的图片", "一幅{}的画", "画{}", "请画{}", "给我画{}", "我想看{}", "这是{}", "这里有{}",
    "有{}", "{}图标", "{}的照片", "白色背景上的{}",
)  # fmt: skip
_ZH_ADJECTIVES = ("可爱的", "小小的", "漂亮的", "好看的", "简单的", "美丽的")


@dataclass(frozen=True, kw_only=True)
class CaptionedStyle:
    """A caption, and whether it names the picture's style."""

    text: str
    names_style: bool


def clean_caption(concept: Concept, language: str) -> str:
    """The one caption a captioner should write: `a black cat`, `一只黑猫`."""
    if language == "zh":
        return f"一{concept.measure}{concept.zh}"
    return f"{concept.article} {concept.en}".strip()


def label(concept: Concept, language: str) -> str:
    """The concept's name: `black cat`, `黑猫`."""
    return concept.zh if language == "zh" else concept.en


def random_caption(
    concept: Concept, style: str | None, rng: random.Random, *, loose: float = LOOSE_SHARE
) -> CaptionedStyle:
    """A caption in either language; a third name the style, a share of `loose` is only a loosely related word."""
    if rng.random() < loose and (tags := concept.en_tags + concept.zh_tags):
        return CaptionedStyle(text=rng.choice(tags), names_style=False)
    names_style = rng.random() < 0.33 and style is not None
    write = _random_english if rng.random() < 0.55 else _random_chinese
    text = write(concept, style if names_style else None, rng)
    return CaptionedStyle(text=text, names_style=names_style)


def _random_english(concept: Concept, style: str | None, rng: random.Random) -> str:
    noun = concept.en
    before = concept.article
    if concept.en_synonyms and rng.random() < 0.3:
        noun = rng.choice(concept.en_synonyms)
        before = rng.choice((article(noun), "the", ""))
    if rng.random() < 0.2:
        noun = f"{rng.choice(_ADJECTIVES)} {noun}"
    word = rng.choice(STYLE_WORDS[style][0]) if style else ""
    shape = rng.random()
    if word and shape < 0.5:
        noun = f"{word} {noun}"
    phrase = rng.choice((noun, _with_article(before, noun), _with_article(before, noun), f"the {noun}"))
    if word and shape >= 0.5:
        phrase = rng.choice(("{} in {} style", "{}, {}", "{}, {} style", "{} {} emoji")).format(phrase, word)
    elif rng.random() < 0.1:
        phrase = f"{phrase} emoji"
    text = rng.choice(_EN_FRAMES).format(phrase)
    text = rng.choice((text, text, text, text.capitalize(), text.upper(), text.title()))
    return text + rng.choice(("", "", "", "", ".", "!", " ", "..."))


def _with_article(before: str, noun: str) -> str:
    if before in ("a", "an"):
        before = indefinite(noun)
    return f"{before} {noun}".strip()


def _random_chinese(concept: Concept, style: str | None, rng: random.Random) -> str:
    noun = rng.choice(concept.zh_synonyms) if concept.zh_synonyms and rng.random() < 0.3 else concept.zh
    if rng.random() < 0.2:
        noun = rng.choice(_ZH_ADJECTIVES) + noun
    word = rng.choice(STYLE_WORDS[style][1]) if style else ""
    if word:
        noun = rng.choice(("{0}风格的{1}", "{0}的{1}", "{0}{1}", "{1},{0}风格")).format(word, noun)
    measured = rng.choice(("", f"一{concept.measure}", f"一{concept.measure}", "一个"))
    text = rng.choice(_ZH_FRAMES).format(measured + noun)
    return text + rng.choice(("", "", "", "", "。", "!", "~", " "))
