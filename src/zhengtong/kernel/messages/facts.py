"""Facts: frozen dataclasses in the past tense, the only thing capabilities tell one another.

A fact is encoded as a deterministic CBOR map of its fields. Decoding is strict about types and
required fields and lenient about fields it does not know, so that a newer node can tell an older
one more than it understands.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import cbor2

PLAIN: tuple[type, ...] = (str, int, bool, bytes, datetime, date, UUID)


class UnknownKind(Exception):
    """No fact of this kind is known to this node."""


class MalformedFact(Exception):
    """The bytes are not a fact of the kind they claim; the text names the field."""


class Fact:
    """Base of all facts; `kind` is the name it travels under, `word` what people call it."""

    kind: typing.ClassVar[str] = ""
    word: typing.ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file named by its content: SHA-256 in hex, the name people gave it, bytes, media type."""

    sha256: str
    name: str
    size: int
    media_type: str


F = TypeVar("F", bound=type[Fact])
_kinds: dict[str, type[Fact]] = {}


def fact(kind: str, word: str = "") -> typing.Callable[[F], F]:
    """Register a frozen dataclass as the fact of this kind, which people know by `word`."""

    def wrap(cls: F) -> F:
        cls.kind, cls.word = kind, word
        _kinds[kind] = cls
        return cls

    return wrap


def kinds() -> dict[str, type[Fact]]:
    return dict(_kinds)


def words() -> dict[str, str]:
    """Every kind in the words of people, as far as they have been given."""
    return {kind: cls.word for kind, cls in _kinds.items() if cls.word}


def encode(value: Fact) -> bytes:
    """The fact's deterministic bytes (RFC 8949 §4.2)."""
    return cbor2.dumps(_plain(value), canonical=True)


def decode(kind: str, body: bytes) -> Fact:
    """The fact these bytes state. Raises UnknownKind or MalformedFact."""
    cls = _kinds.get(kind)
    if cls is None:
        raise UnknownKind(kind)
    try:
        loaded = cbor2.loads(body)
    except Exception as error:  # cbor2 raises many kinds on hostile bytes
        raise MalformedFact(f"{kind}: not CBOR") from error
    return typing.cast(Fact, _build(cls, loaded, kind))


def files_of(value: Fact) -> tuple[FileRef, ...]:
    """The files a fact refers to, which travel before it."""
    return tuple(getattr(value, "files", ()))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise MalformedFact("a time without a zone")
        return value.astimezone(UTC)  # one instant, one form; old local offsets have seconds
    return value


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        (inner,) = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return _build(inner, value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise MalformedFact(f"{where}: a list was expected")
        item = typing.get_args(hint)[0]
        return tuple(_build(item, one, f"{where}[{i}]") for i, one in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return _build_dataclass(typing.cast(type, hint), value, where)
    if hint not in PLAIN:
        raise TypeError(f"{where}: facts cannot hold {hint!r}")
    if type(value) is not hint:  # a bool is no int, an instant no day
        raise MalformedFact(f"{where}: {hint.__name__} was expected")
    return value


def _build_dataclass(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise MalformedFact(f"{where}: a map was expected")
    found = {}
    for field in dataclasses.fields(cls):
        if field.name in value:
            found[field.name] = _build(
                _hints(cls)[field.name], value[field.name], f"{where}.{field.name}"
            )
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise MalformedFact(f"{where}.{field.name}: missing")
    return cls(**found)
