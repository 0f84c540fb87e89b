"""A file of keys: read strictly, found by hash or certificate, and never quoted in an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.access.keys import (
    MOST_FILE_BYTES,
    Key,
    KeyRing,
    hash_of,
    new_key,
    parse_keys,
    read_content,
    told_entry,
)
from shared.errors import ConfigurationError
from tests.gateway.access.given_keys import entry, key_of

README = Path(__file__).parents[3] / "README.md"

FILE = Path("keys.toml")
HASH = "a" * 64
MINIMAL = f'[[keys]]\nname = "shop"\nsha256 = "{HASH}"\nscopes = ["generate"]\n'


def ring(text: str) -> KeyRing:
    """The keys of a file that says this."""
    return parse_keys(text.encode(), FILE)


def test_key_is_found_by_its_secret_alone() -> None:
    secret, key = key_of("shop")
    other, _ = key_of("other")
    keys = KeyRing([key])
    assert keys.of_key(secret) is key
    for wrong in (other, secret[:-1], f"{secret}=", secret.lower(), hash_of(secret), "", "é", "\x00", "x" * 100_000):
        assert keys.of_key(wrong) is None


def test_hash_that_begins_like_a_known_one_is_not_taken_for_it() -> None:
    secret = new_key()
    begins_alike = hash_of(secret)[:32] + "0" * 32
    assert KeyRing([Key(name="shop", sha256=begins_alike, scopes=[])]).of_key(secret) is None


def test_key_is_found_by_the_name_in_a_certificate() -> None:
    keys = ring('[[keys]]\nname = "shop"\nidentity = "shop.internal"\nscopes = []\n')
    assert keys.of_identity("shop.internal") is keys.keys[0]
    assert keys.of_identity("shop") is keys.of_identity("") is None


def test_new_keys_have_256_random_bits_and_a_mark() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {(key[:8], len(key)) for key in keys} == {("diptych_", 8 + 43)}


def test_entry_of_a_file_says_what_it_was_made_of() -> None:
    _, key = key_of("shop.eu-1", calls_per_second=2.5, calls_burst=10.0, concurrent_calls=3, priority="batch")
    assert ring(entry(key)).keys == (key,)


def test_text_in_an_entry_stays_text() -> None:
    name = 'a "name" \\ with = signs'
    assert ring(told_entry({"name": "x", "identity": name, "scopes": []})).keys[0].identity == name


def test_file_without_keys_lets_nobody_in() -> None:
    assert ring("# nobody yet\n").keys == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nkeys = ,", "keys.toml: it is not TOML: at line 2"),
        ("x = " + "[" * 100_000, "keys.toml: it is not TOML"),
        ("x = " + "1" * 5_000, "keys.toml: it is not TOML"),
        ("[key]\n", "it must hold tables [[keys]], and nothing else"),
        ("[keys]\n", "it must hold tables [[keys]], and nothing else"),
        ("keys = [1]\n", "keys.toml: key 1: "),
        (MINIMAL.replace("name", "nam"), "key 1: name: Field required"),
        (MINIMAL.replace("shop", "a shop"), "key 1: name: String should match"),
        (MINIMAL.replace(HASH, "A" * 64), "key 1: sha256: String should match"),
        (MINIMAL.replace('"generate"', '"paint"'), "key 1: scopes.0: Input should be 'generate', 'describe' or"),
        (MINIMAL.replace("scopes", "scope"), "key 1: scopes: Field required"),
        (MINIMAL + "limit = 3\n", "key 1: limit: Extra inputs are not permitted"),
        (MINIMAL + 'identity = "x"\n', "key 1: it must have either sha256 or identity"),
        (MINIMAL.replace(f'sha256 = "{HASH}"\n', ""), "key 1: it must have either sha256 or identity"),
        (MINIMAL + "expires = 2030-01-01\n", "key 1: expires: "),
        (MINIMAL + "expires = 2030-01-01T00:00:00\n", "key 1: expires: Input should have timezone info"),
        (MINIMAL + "calls_per_second = 0\n", "key 1: calls_per_second: Input should be greater than 0"),
        (MINIMAL + "calls_per_second = inf\n", "key 1: calls_per_second: Input should be a finite number"),
        (MINIMAL + 'calls_per_second = "5"\n', "key 1: calls_per_second: Input should be a valid number"),
        (MINIMAL + "pictures_burst = 4\n", "key 1: pictures_burst goes with pictures_per_second alone"),
        (MINIMAL + "concurrent_calls = 0\n", "key 1: concurrent_calls: Input should be greater than or equal to 1"),
        (MINIMAL + 'priority = "urgent"\n', "key 1: priority: "),
        (MINIMAL + MINIMAL, "key 1: another one has the same name"),
        (MINIMAL + MINIMAL.replace("shop", "other"), "key 1: another one has the same sha256"),
    ],
)
def test_broken_file_is_refused_with_the_place(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ring(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("field", ["name", "sha256", "identity", "scopes", "expires", "calls_per_second", "secret"])
def test_key_put_where_it_does_not_belong_is_not_in_the_error(field: str) -> None:
    secret = new_key()
    with pytest.raises(ConfigurationError) as caught:
        ring(f'[[keys]]\n{field} = "{secret}"\n')
    assert secret not in str(caught.value)
    for text in (f"[[keys]]\n{field} = {secret}\n", f'[[keys]]\n{secret} = "{field}"\n'):
        with pytest.raises(ConfigurationError) as caught:
            ring(text)
        assert secret not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not TOML"):
        parse_keys(b"\xff", FILE)


def test_file_that_is_not_there_or_too_large_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=str(missing)):
            read_content(missing)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (MOST_FILE_BYTES + 1))
    with pytest.raises(ConfigurationError, match="more than 1048576 bytes"):
        read_content(large)


def test_key_does_not_show_its_hash() -> None:
    assert HASH not in repr(ring(MINIMAL).keys[0])


def test_example_of_the_readme_is_a_file_of_keys_with_every_term() -> None:
    (example,) = re.findall(r"```toml\n(\[\[keys.*?)```", README.read_text("utf-8"), re.DOTALL)
    (key,) = ring(example).keys
    assert set(Key.model_fields) - key.model_fields_set == {"identity", "calls_burst"}
