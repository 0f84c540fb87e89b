"""`diptych key`: a key is shown once, its hash goes into the file, and the list shows neither."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.access.keys import SCOPES, KeyRing, hash_of, parse_keys
from tests.gateway.command_line.command import diptych

USAGE = 2


def ring(file: Path) -> KeyRing:
    """The keys of a file."""
    return parse_keys(file.read_bytes(), file)


def test_new_key_is_the_one_of_the_lines_to_add() -> None:
    result = diptych("key", "new", "shop", "--scope", "generate", "--calls-per-second", "2.5")
    assert result.exit_code == 0, result.output
    *lines, secret = result.stdout.splitlines()
    (key,) = parse_keys("\n".join(lines).encode(), Path("stdout")).keys
    assert (key.name, key.sha256, key.scopes, key.calls_per_second) == ("shop", hash_of(secret), ["generate"], 2.5)
    assert secret not in result.stderr
    assert "shown this once" in result.stderr


def test_new_key_goes_into_a_file_which_never_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    secrets = [diptych("key", "new", name, "--file", file).stdout.strip() for name in ("shop", "crawler", "monitor")]
    assert [key.name for key in ring(file).keys] == ["shop", "crawler", "monitor"]
    for secret, key in zip(secrets, ring(file).keys, strict=True):
        assert ring(file).of_key(secret) == key
        assert secret not in file.read_text()
        assert key.scopes == list(SCOPES)


def test_file_is_the_one_that_the_gateway_reads_if_the_variable_says_so(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    variables = {"DIPTYCH_KEYS_FILE": str(file)}
    assert diptych("key", "new", "shop", variables=variables).exit_code == 0
    assert "shop" in diptych("key", "list", variables=variables).stdout


def test_comments_of_a_file_stay_and_links_stay_links(tmp_path: Path) -> None:
    file, link = tmp_path / "keys.toml", tmp_path / "link.toml"
    file.write_text("# of the web team")
    link.symlink_to(file)
    assert diptych("key", "new", "shop", "--file", link).exit_code == 0
    assert link.is_symlink()
    assert file.read_text().startswith("# of the web team\n")
    assert len(ring(file).keys) == 1


def test_all_terms_of_a_key_are_options(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    options = {
        "--expires": "2031-02-03",
        "--calls-per-second": 5,
        "--calls-burst": 9,
        "--pictures-per-second": 0.5,
        "--pictures-burst": 32,
        "--concurrent-calls": 4,
    }
    given = [part for option in options.items() for part in option]
    scopes = ["--scope", "describe", "--scope", "encode"]
    assert diptych("key", "new", "crawler", "--file", file, *scopes, *given, "--batch").exit_code == 0
    (key,) = ring(file).keys
    assert key.expires == datetime(2031, 2, 3, tzinfo=UTC)
    assert (key.scopes, key.priority, key.concurrent_calls) == (["describe", "encode"], "batch", 4)
    assert (key.calls_per_second, key.calls_burst, key.pictures_per_second, key.pictures_burst) == (5, 9, 0.5, 32)


def test_certificate_needs_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    result = diptych("key", "new", "shop", "--identity", "shop.internal", "--file", file)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert ring(file).of_identity("shop.internal") is not None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["a shop"], "name"),
        (["shop"], "another one has the same name"),
        (["other", "--scope", "paint"], "scopes"),
        (["other", "--calls-per-second", "0"], "calls_per_second"),
        (["other", "--calls-per-second", "nan"], "calls_per_second"),
        (["other", "--calls-burst", "3"], "calls_burst goes with calls_per_second alone"),
        (["other", "--concurrent-calls", "0"], "concurrent_calls"),
    ],
)
def test_key_that_no_gateway_would_take_is_refused_and_the_file_left(
    tmp_path: Path, options: list[str], problem: str
) -> None:
    file = tmp_path / "keys.toml"
    diptych("key", "new", "shop", "--file", file)
    before = file.read_text()
    result = diptych("key", "new", *options, "--file", file)
    assert result.exit_code == USAGE
    assert problem in result.stderr
    assert result.stdout == ""
    assert file.read_text() == before


def test_broken_file_is_not_added_to(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("[[keys]")
    result = diptych("key", "new", "shop", "--file", file)
    assert (result.exit_code, file.read_text()) == (USAGE, "[[keys]")
    assert "not TOML" in result.stderr


def test_list_shows_whose_keys_there_are_and_no_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    diptych("key", "new", "shop", "--scope", "generate", "--pictures-per-second", "8", "--file", file)
    diptych("key", "new", "old", "--expires", "2020-01-01", "--batch", "--file", file)
    diptych("key", "new", "robot", "--identity", "robot.internal", "--concurrent-calls", "3", "--file", file)
    result = diptych("key", "list", file)
    assert result.exit_code == 0
    for told in ("shop", "generate", "8", "old", "2020-01-01 00:00 UTC", "batch", "certificate robot.internal", "3"):
        assert told in result.stdout
    for key in ring(file).keys:
        assert key.sha256 is None or key.sha256[:12] not in result.stdout


def test_list_of_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    result = diptych("key", "list", tmp_path / "none.toml")
    assert result.exit_code == USAGE
    assert f"error: {tmp_path / 'none.toml'}: No such file" in result.stderr
