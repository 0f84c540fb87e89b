"""Where the drawings come from: eleven sets of pictograms, their authors and licences, and the packages that hold them.

Share-alike sets (OpenMoji, the first Emoji One) are not offered: a model trained on them would have to carry their
licence, and one pack for all keeps every trained model free of that.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.training.data.packages import Package


@dataclass(frozen=True, kw_only=True)
class Source:
    """One style of drawings; drawings of one `family` are near copies, so a split must not part them."""

    style: str
    family: str
    package: str
    author: str
    licence: str
    link: str
    names: str = ""
    """Package whose table says what an icon is called; empty where icons are called by the Unicode name."""
    icons: bool = True
    """Drawn as Iconify's icons, not as bitmaps named by hexcode."""
    other_things: frozenset[str] = frozenset()
    """Icons that show something else than their name says, or nothing that can be told apart, as seen by eye."""


_ICONIFY = "@iconify-json/"
_FLAT = f"{_ICONIFY}fluent-emoji-flat"
_FLUENT_LINK = "https://github.com/microsoft/fluentui-emoji"
_NOTO_LINK = "https://github.com/googlefonts/noto-emoji"
_EMOJITWO_LINK = "https://github.com/EmojiTwo/emojitwo"

_BAT = frozenset({"cricket"})
"""The insect by its name, but drawn before there was one: the bat and the ball."""

SOURCES = (
    Source(style="fluent-3d", family="fluent", package="@lobehub/fluent-emoji-3d",
           author="Microsoft", licence="MIT", link=_FLUENT_LINK, icons=False),
    Source(style="fluent-color", family="fluent", package=f"{_ICONIFY}fluent-emoji", names=_FLAT,
           author="Microsoft", licence="MIT", link=_FLUENT_LINK),
    Source(style="fluent-flat", family="fluent", package=_FLAT, names=_FLAT,
           author="Microsoft", licence="MIT", link=_FLUENT_LINK),
    Source(style="fluent-mono", family="fluent", package=f"{_ICONIFY}fluent-emoji-high-contrast", names=_FLAT,
           author="Microsoft", licence="MIT", link=_FLUENT_LINK),
    Source(style="noto", family="noto", package=f"{_ICONIFY}noto", names=f"{_ICONIFY}noto",
           author="Google", licence="Apache-2.0", link=_NOTO_LINK),
    Source(style="noto-v1", family="noto", package=f"{_ICONIFY}noto-v1",
           author="Google", licence="Apache-2.0", link=_NOTO_LINK, other_things=_BAT),
    Source(style="twemoji", family="twemoji", package=f"{_ICONIFY}twemoji", names=f"{_ICONIFY}twemoji",
           author="Twitter", licence="CC-BY-4.0", link="https://github.com/jdecked/twemoji"),
    Source(style="emojione", family="emojione", package=f"{_ICONIFY}emojione",
           author="Emoji One", licence="CC-BY-4.0", link=_EMOJITWO_LINK, other_things=_BAT),
    Source(style="emojione-mono", family="emojione", package=f"{_ICONIFY}emojione-monotone",
           author="Emoji One", licence="CC-BY-4.0", link=_EMOJITWO_LINK, other_things=_BAT),
    Source(style="fxemoji", family="fxemoji", package=f"{_ICONIFY}fxemoji",
           author="Mozilla", licence="Apache-2.0", link="https://github.com/mozilla/fxemoji",
           other_things=frozenset({
               "beating-heart", "cat", "construction", "dog", "gamedie", "keyboard", "kiss", "lastquartermoonface",
               "pig", "sunglasses", "tearoffcalendar", "tramcar", "umbrella", "window",
           })),
    Source(style="streamline", family="streamline", package=f"{_ICONIFY}streamline-emojis",
           author="Streamline", licence="CC-BY-4.0", link="https://github.com/webalys-hq/streamline-vectors",
           other_things=frozenset({"tennis-1", "turkey"})),
)  # fmt: skip

STYLES = tuple(source.style for source in SOURCES)
FAMILIES = tuple(dict.fromkeys(source.family for source in SOURCES))

OLDER_NAMES = (f"{_ICONIFY}twemoji", f"{_ICONIFY}noto")
"""Packages that know what icons were called before."""

TEXTS = "emojibase-data"
"""The package of names, tags and groups."""

PACKAGES = (
    Package(name="@iconify-json/emojione", version="1.2.3",
            integrity="sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg=="),
    Package(name="@iconify-json/emojione-monotone", version="1.2.1",
            integrity="sha512-cZSNcPsuiAD6HCzCh/2dYKGh3pNI0jJlxBxQWfC33cQsPtqYZqulGBvlkThXYNvDl8VxgVHT9u+izyX/yeEIkA=="),
    Package(name="@iconify-json/fluent-emoji", version="1.2.7",
            integrity="sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA=="),
    Package(name="@iconify-json/fluent-emoji-flat", version="1.2.6",
            integrity="sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw=="),
    Package(name="@iconify-json/fluent-emoji-high-contrast", version="1.2.6",
            integrity="sha512-esqhZPpkrF7sNX3NsLoh8KW64okEr/bzko7WNnFP+qTJGAqDPDYjp0925yxuivXy3HtVQB8xhIKu3+Nq1byX5w=="),
    Package(name="@iconify-json/fxemoji", version="1.2.2",
            integrity="sha512-UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ=="),
    Package(name="@iconify-json/noto", version="1.2.9",
            integrity="sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw=="),
    Package(name="@iconify-json/noto-v1", version="1.2.5",
            integrity="sha512-/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA=="),
    Package(name="@iconify-json/streamline-emojis", version="1.2.4",
            integrity="sha512-iNr9T9XuZVTyQPJO8ZlLxBzPkpi7qMl+z1l0C31vpEMqhPMelth3n7CeWQYtixdetDPdI81yeG4ROqjWpYJE6A=="),
    Package(name="@iconify-json/twemoji", version="1.2.5",
            integrity="sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw=="),
    Package(name="@lobehub/fluent-emoji-3d", version="1.1.0",
            integrity="sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g=="),
    Package(name="emojibase-data", version="17.0.0",
            integrity="sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA=="),
)  # fmt: skip
