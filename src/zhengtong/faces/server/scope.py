"""What is known of a request, in the shape in which the engine gives its own (RSGI)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import h11

Pairs = list[tuple[str, str]]


class HeaderValues(Protocol):
    """Request headers by lower-case name, ours or the engine's."""

    def get(self, key: str, default: str | None = None) -> str | None:
        """The first value of a name."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every line."""


class Headers:
    """Request headers, lower-case; `get` gives the first of a name."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str | None = None) -> str | None:
        return next((value for known, value in self._pairs if known == name), default)

    def items(self) -> Pairs:
        return self._pairs

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self._pairs)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs)


@dataclass(slots=True)
class Scope:
    """One request; `node` is who dialled, by its certificate."""

    method: str
    path: str
    query_string: str
    http_version: str
    headers: HeaderValues
    client: str
    server: str
    node: str = ""
    scheme: str = "https"
    proto: str = "http"

    @classmethod
    def of(cls, request: h11.Request, client: str, server: str) -> Scope:
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        pairs = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
        version = request.http_version.decode()
        return cls(
            request.method.decode(), unquote(path), query, version, Headers(pairs), client, server
        )
