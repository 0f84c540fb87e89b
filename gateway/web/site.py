"""The playground as an ASGI application: a few files, and the calls that they make; knows no flow and no server."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.web.asgi import Application, Event, Receive, Scope, Send
from gateway.web.names import Names
from shared.codes import Reason
from shared.version import diptych_version

FOLDER = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
SECURITY_HEADERS = (
    # Nothing from elsewhere, nothing inline; pictures are made in the page from what a call answers.
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_GRPC = re.compile(r"application/grpc(?![\w-])", re.IGNORECASE)
"""gRPC itself, in whatever codec; not gRPC-Web."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    content_type: bytes

    @property
    def tag(self) -> bytes:
        """Changes with the content."""
        return b'"%s"' % hashlib.sha256(self.body).hexdigest()[:32].encode()


def page_assets(*, grpc_port: int, limits: Mapping[str, int]) -> dict[str, Asset]:
    """The files by path: those of `static/`, and what the page cannot know, made here.

    Args:
        grpc_port: for the commands that the page shows.
        limits: what calls take at most, by the names of `Limits` in proto JSON.
    """
    assets = {
        f"/{file.name}": Asset(body=file.read_bytes(), content_type=CONTENT_TYPES[file.suffix])
        for file in sorted(FOLDER.iterdir())
        if file.suffix in CONTENT_TYPES
    }
    assets["/"] = assets.pop("/index.html")
    facts = {
        "version": diptych_version(),
        "grpcPort": grpc_port,
        "limits": dict(limits),
        "remedies": {reason.name: reason.remedy for reason in Reason},
    }
    body = json.dumps(facts, ensure_ascii=False).encode()
    return {**assets, "/facts.json": Asset(body=body, content_type=b"application/json")}


class Site:
    """Serves the assets, and hands on the calls.

    Args:
        assets: by path; no other path is answered.
        calls: the application for paths that begin with `calls_path`.
        calls_path: `/package.Service/`.
        names: what a request's Host may be.
    """

    def __init__(self, assets: Mapping[str, Asset], calls: Application, calls_path: str, names: Names) -> None:
        self._assets = assets
        self._calls = calls
        self._calls_path = calls_path
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        assert scope["type"] == "http", "the server is set up without websockets and lifespan"
        send = _with_security_headers(send)
        headers = _headers(scope)
        if headers is None:
            await _answer(send, 400, b"a header is not UTF-8\n")
        elif headers.get("host", "") not in self._names:
            told = f"this address answers to {self._names}; DIPTYCH_WEB_NAMES adds names\n"
            await _answer(send, 403, told.encode())
        elif scope["path"].startswith(self._calls_path):
            if _GRPC.match(headers.get("content-type", "")):  # needs trailers, which HTTP/1.1 servers do not send
                await _answer(send, 415, b"gRPC has another port; this one takes Connect and gRPC-Web\n")
            else:
                await self._calls(scope, receive, send)
        elif scope["path"] not in self._assets:
            await _answer(send, 404, b"not found\n")
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"GET or HEAD\n", (b"allow", b"GET, HEAD"))
        else:
            await _send_asset(self._assets[scope["path"]], headers, send)


def _headers(scope: Scope) -> dict[str, str] | None:
    try:
        return {key.decode(): value.decode() for key, value in scope["headers"]}
    except UnicodeDecodeError:
        return None


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(event: Event) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event.get("headers", ()), *SECURITY_HEADERS]}
        await send(event)

    return send_with_headers


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    *headers: tuple[bytes, bytes],
    content_type: bytes = b"text/plain; charset=utf-8",
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _send_asset(asset: Asset, headers: Mapping[str, str], send: Send) -> None:
    caching = ((b"etag", asset.tag), (b"cache-control", b"no-cache"))
    if headers.get("if-none-match", "").encode() == asset.tag:
        await send({"type": "http.response.start", "status": 304, "headers": caching})
        await send({"type": "http.response.body"})
    else:  # the server leaves the body of a HEAD out
        await _answer(send, 200, asset.body, *caching, content_type=asset.content_type)
