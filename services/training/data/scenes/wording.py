"""The words of captions in both languages, shared by the captions that are written and the parser that reads them."""

from __future__ import annotations

BACKGROUND_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "meadow": ("in a meadow", "on the grass", "in a green field", "on the lawn"),
        "beach": ("on the beach", "at the beach", "on a sandy beach", "by the seaside"),
        "desert": ("in the desert", "on the dunes", "in a dry desert"),
        "snow": ("in the snow", "on the snow", "in a snowy landscape"),
        "night": ("at night", "in the night", "on a dark night"),
        "street": ("on the street", "on a road", "in the street"),
        "sea": ("on the sea", "at sea", "on the open water"),
        "underwater": ("underwater", "in the deep sea", "down in the ocean"),
        "space": ("in space", "in outer space", "in the universe"),
        "table": ("on the table", "on a wooden table", "on a table"),
    },
    "zh": {
        "meadow": ("草地上", "草原上", "绿色的草地上"),
        "beach": ("海滩上", "沙滩上", "海边"),
        "desert": ("沙漠里", "沙漠中", "沙丘上"),
        "snow": ("雪地里", "雪地上", "雪中"),
        "night": ("夜里", "夜晚", "黑夜里"),
        "street": ("街道上", "马路上", "街上"),
        "sea": ("海面上", "大海上", "海上"),
        "underwater": ("水下", "海底", "海水里"),
        "space": ("太空中", "太空里", "宇宙中"),
        "table": ("桌子上", "桌上", "木桌上"),
    },
}
"""Where; the canonical wording first."""

SCENE_WORDS = {
    "meadow": ("a meadow", "a green meadow"),
    "beach": ("a beach", "a sunny beach"),
    "desert": ("a desert", "a sandy desert"),
    "snow": ("a snowy landscape", "a winter landscape"),
    "night": ("a night scene", "a dark night"),
    "street": ("a street", "a city street"),
    "sea": ("the open sea", "the sea"),
    "underwater": ("an underwater scene", "an underwater world"),
    "space": ("outer space", "a space scene"),
    "table": ("a table", "a wooden table"),
}
"""English backgrounds as things that have things in them."""

RELATION_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "left-of": ("to the left of", "left of", "on the left of"),
        "right-of": ("to the right of", "right of", "on the right of"),
        "in-front-of": ("in front of", "right in front of"),
        "behind": ("behind", "right behind"),
        "above": ("above", "over"),
        "under": ("under", "below"),
    },
    "zh": {
        "left-of": ("的左边", "左边", "的左侧"),
        "right-of": ("的右边", "右边", "的右侧"),
        "in-front-of": ("的前面", "前面", "前方"),
        "behind": ("的后面", "后面", "后方"),
        "above": ("的上方", "上方", "的上面"),
        "under": ("的下方", "下方", "下面"),
    },
}

TRAILING_RELATIONS = {
    "left-of": ("on {} left", "to {} left"),
    "right-of": ("on {} right", "to {} right"),
    "in-front-of": ("in front of {}",),
    "behind": ("behind {}",),
}
"""What follows the second thing in "a cat with a dog on its left"; {} is one of the thing's PRONOUNS."""

PRONOUNS = {"man": ("his", "him"), "woman": ("her", "her"), "skier": ("their", "them")}
"""Whose left it is, and what one is in front of; ("its", "it") where nothing is said."""

VERB_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "running": ("running", "jogging"),
        "walking": ("walking", "strolling"),
        "dancing": ("dancing",),
        "cycling": ("cycling",),
        "meditating": ("meditating",),
    },
    "zh": {
        "running": ("跑步", "奔跑"),
        "walking": ("走路", "散步"),
        "dancing": ("跳舞",),
        "cycling": ("骑车", "骑行"),
        "meditating": ("打坐", "冥想"),
    },
}

NUMBERS = {"en": ("", "a", "two", "three", "four", "five"), "zh": ("", "一", "两", "三", "四", "五")}

DEFINITE = ("sun", "moon", "earth")
"""Things there is one of: "the sun"."""
