"""What the playground's port answers besides calls: a few files, to those who asked for this machine."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gateway.web.site import FOLDER
from shared.codes import Reason
from tests.gateway.web.playground import Playground, ask, running_playground

pytestmark = pytest.mark.asyncio(loop_scope="session")


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value is not None:
                self.found.add(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")


async def test_page_and_everything_that_it_names_is_served(playground: Playground) -> None:
    page = await ask(playground, "/")
    references = _References()
    references.feed(page.body.decode())
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert references.inline == []
    paths = {path for path in references.found if not path.startswith("#")}
    scripts = [file.read_text("utf-8") for file in FOLDER.glob("*.js")]
    paths |= {f"/{name}" for script in scripts for name in re.findall(r'from "\./([^"]+)"', script)}
    assert "/app.js" in paths and "/connect.js" in paths
    for path in paths:
        assert (await ask(playground, path)).status == 200, path


@pytest.mark.parametrize("path", ["/", "/app.js", "/facts.json", "/nothing", "/diptych.gateway.v1.GatewayService/No"])
async def test_every_answer_has_the_security_headers(playground: Playground, path: str) -> None:
    headers = (await ask(playground, path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "img-src 'self' data: blob:" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control-")]
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/index.html/", "/static/", "/../settings.py", "/%2e%2e/settings.py", "//etc/passwd", "/.", "/app.js/"]
)
async def test_only_exact_files_are_served(playground: Playground, path: str) -> None:
    assert (await ask(playground, path)).status == 404


async def test_files_are_read_only(playground: Playground) -> None:
    answer = await ask(playground, "/app.js", method="POST", body=b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_unchanged_file_is_not_sent_again(playground: Playground) -> None:
    tag = (await ask(playground, "/app.js")).headers["etag"]
    again = await ask(playground, "/app.js", headers={"if-none-match": tag})
    assert (again.status, again.body) == (304, b"")


async def test_head_of_a_file_tells_its_length_alone(playground: Playground) -> None:
    answer = await ask(playground, "/app.js", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == len((FOLDER / "app.js").read_bytes())


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]", "[::1]:80"])
async def test_names_of_this_machine_are_answered(playground: Playground, name: str) -> None:
    assert (await ask(playground, "/", headers={"host": name})).status == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:50052", "localhost.evil.example", "", "127.0.0.2"])
async def test_another_name_for_loopback_is_refused(playground: Playground, name: str) -> None:
    for path in ("/", "/diptych.gateway.v1.GatewayService/GetCapabilities"):
        assert (await ask(playground, path, headers={"host": name})).status == 403


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost:50052", 200),
        ("10.0.0.7:50052", 200),  # an address cannot be rebound
        ("[2001:db8::7]", 200),
        ("Pictures.example:50052", 200),
        ("evil.example", 403),
        ("10.0.0.7.evil.example", 403),
        ("", 403),
    ],
)
async def test_server_on_all_addresses_answers_to_addresses_and_to_names_that_it_was_told(
    name: str, status: int
) -> None:
    async with running_playground(
        host="0.0.0.0", allow_insecure=True, web_names="other.example, Pictures.example"
    ) as playground:
        answer = await ask(playground, "/", headers={"host": name})
    assert answer.status == status
    if status == 403:
        assert b"any IP address; DIPTYCH_WEB_NAMES adds names" in answer.body


async def test_header_that_is_no_text_is_refused(playground: Playground) -> None:
    assert (await ask(playground, "/", headers={"x-request-id": "\xff"})).status == 400


async def test_page_learns_every_remedy_the_limits_and_the_port_of_grpc(playground: Playground) -> None:
    facts = (await ask(playground, "/facts.json")).json
    assert facts["remedies"] == {reason.name: reason.remedy for reason in Reason}
    assert facts["limits"] == {
        "promptCharacters": 500,
        "images": 16,
        "captionCandidates": 16,
        "labels": 256,
        "imageBytes": 8 * 1024 * 1024,
    }
    assert playground.platform.address.endswith(f":{facts['grpcPort']}")
