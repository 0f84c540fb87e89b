"""The `diptych` command against a gateway over fakes: files, lines and exit codes."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway import cli
from gateway.console import EXIT_CODES, ExitCode, exit_code
from gateway.contact_sheet import decode_png
from gateway.local import choose_ports
from shared.codes import Code
from shared.errors import CALL_ERRORS, ConfigurationError


@pytest.fixture
def nowhere() -> str:
    """An address where nothing listens."""
    return f"127.0.0.1:{choose_ports(0)['gateway'].grpc}"


def _diptych(*arguments: object) -> Result:
    return CliRunner().invoke(cli.build(), [str(each) for each in arguments])


def test_text_to_image_writes_a_picture_a_seed_into_the_folder(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych(
        "text-to-image", "A cat!", "-n", 2, "--seed", 7, "-o", tmp_path / "new", "--address", gateway_address
    )
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines() == [
        f"{tmp_path}/new/a-cat-7.png  seed 7",
        f"{tmp_path}/new/a-cat-8.png  seed 8",
    ]
    assert decode_png((tmp_path / "new/a-cat-7.png").read_bytes()).rows[0][:3] == bytes((7, len("A cat!"), 0))


def test_text_to_image_paints_each_prompt(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych("text-to-image", "a cat", "一只黑猫", "--seed", 1, "-o", tmp_path, "--address", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert {path.name for path in tmp_path.iterdir()} == {"a-cat-1.png", "一只黑猫-1.png"}


def test_prompts_with_markup_and_alike_in_file_names_get_a_file_each(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych("text-to-image", "[/b] C", "C", "C++", "--seed", 7, "-o", tmp_path, "--address", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b-c-7.png", "c-7-2.png", "c-7.png"]


def test_text_to_image_writes_one_picture_to_a_named_file(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych("text-to-image", "a cat", "-o", tmp_path / "cat.png", "--address", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert (tmp_path / "cat.png").exists()


def test_one_file_for_two_pictures_is_refused(tmp_path: Path) -> None:
    result = _diptych("text-to-image", "a cat", "-n", 2, "-o", tmp_path / "cat.png")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == f"error: {tmp_path}/cat.png is one file for 2 pictures; name a folder\n"


def test_folder_that_cannot_be_written_is_refused_in_one_line(gateway_address: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _diptych("text-to-image", "a cat", "-o", tmp_path / "file", "--address", gateway_address)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith(f"error: cannot make folder {tmp_path}/file")


def test_image_to_text_prints_a_line_a_file(gateway_address: str, tmp_path: Path) -> None:
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    files[0].write_bytes(b"1")
    files[1].write_bytes(b"22")
    result = _diptych("image-to-text", *files, "--language", "zh", "--labels", 1, "--address", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines() == [
        f"{files[0]}: zh: 1 bytes (zh label 0 50%)",
        f"{files[1]}: zh: 2 bytes (zh label 0 50%)",
    ]


def test_image_to_text_takes_more_files_than_one_call_does(gateway_address: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.png" for index in range(18)]
    for path in files:
        path.write_bytes(b"x")
    result = _diptych("image-to-text", *files, "--address", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert len(result.stdout.splitlines()) == 18


def test_file_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    assert _diptych("image-to-text", tmp_path / "none.png").exit_code == ExitCode.USAGE


def test_refused_request_says_field_and_limit(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych("text-to-image", "x" * 501, "-o", tmp_path, "--address", gateway_address)
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "error: prompt has 501 characters; the limit is 500\n"


def test_no_gateway_says_how_to_start_one(nowhere: str) -> None:
    result = _diptych("text-to-image", "a cat", "--address", nowhere)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr == (
        f"error: no gateway answers at {nowhere} (connection refused); "
        "start one with `diptych up`, or say where it is with --address\n"
    )


def test_timeout_has_its_own_exit_code(gateway_address: str, tmp_path: Path) -> None:
    result = _diptych("text-to-image", "a cat", "-o", tmp_path, "--timeout", 0.001, "--address", gateway_address)
    assert result.exit_code == ExitCode.TIMEOUT
    assert "--timeout allows more time" in result.stderr


def test_status_shows_who_serves(gateway_address: str, nowhere: str) -> None:
    result = _diptych("status", gateway_address)
    assert result.exit_code == ExitCode.OK
    assert gateway_address in result.stdout and "serving" in result.stdout


def test_status_of_a_server_that_is_down_says_why(gateway_address: str, nowhere: str) -> None:
    result = _diptych("status", gateway_address, nowhere)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "connection refused" in result.stdout


def test_exit_code_of_every_status_code_is_told() -> None:
    assert set(EXIT_CODES) <= set(Code)
    codes = {exit_code(error.__new__(error)) for error in CALL_ERRORS.values()}
    assert codes == {ExitCode.FAILED, ExitCode.UNAVAILABLE, ExitCode.REFUSED, ExitCode.BUSY, ExitCode.TIMEOUT}
    assert exit_code(ConfigurationError()) is ExitCode.USAGE


def test_readme_lists_every_exit_code() -> None:
    readme = (Path(cli.__file__).parent / "README.md").read_text()
    listed = {int(line.split("|")[1]) for line in readme.splitlines() if line.startswith("|") and line[2].isdecimal()}
    assert listed == set(ExitCode)


class _Extensions:
    """Entry points as an installation would have them."""

    greeting = typer.Typer()

    @staticmethod
    @greeting.command()
    def greet(name: str, loud: bool = False) -> None:
        """Say hello."""
        typer.echo(f"hello {name}{'!' if loud else ''}")


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry point that works and one whose package is not installed."""
    found = EntryPoints(
        [
            EntryPoint("greet", "tests.gateway.test_cli:_Extensions.greeting", cli.EXTENSIONS),
            EntryPoint("train", "no_such_package.cli:app", cli.EXTENSIONS),
        ]
    )
    monkeypatch.setattr(cli, "entry_points", lambda group: found.select(group=group))


@pytest.mark.usefixtures("extensions")
def test_entry_point_becomes_a_sub_command_with_its_own_options() -> None:
    result = _diptych("greet", "Ada", "--loud")
    assert (result.exit_code, result.stdout) == (0, "hello Ada!\n")


@pytest.mark.usefixtures("extensions")
def test_entry_point_whose_package_is_missing_breaks_only_itself() -> None:
    assert _diptych("--help").exit_code == 0
    result = _diptych("train", "--steps", 3)
    assert result.exit_code == ExitCode.USAGE
    assert "`diptych train` cannot run: No module named 'no_such_package'; pip install" in result.stderr
