"""Typed reading of decoded CBOR: every field is asked for by name, type and limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from zhengtong.wire.errors import Refusal, WireError

Choice = TypeVar("Choice", bound=StrEnum)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MICROSECOND
MAX_SEQUENCE = 2**53 - 1


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC: how every moment travels. Needs a zone-aware moment ≥1970."""
    if moment.tzinfo is None:
        raise ValueError("a moment on the wire needs a time zone")
    if moment < _EPOCH:
        raise ValueError("a moment on the wire lies in or after 1970")
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class Fields:
    """A decoded map or array whose parts are read once each; leftovers are refused."""

    def __init__(self, value: Any, where: str) -> None:
        self._where = where
        if type(value) is dict:
            self._values = dict(value)
        elif type(value) is list:
            self._values = dict(enumerate(value))
        else:
            self._refuse("is no structure")

    def __contains__(self, name: str | int) -> bool:
        return name in self._values

    def text(self, name: str | int, limit: int = 300) -> str:
        value = self._take(name)
        if type(value) is not str or len(value) > limit:
            self._refuse(f"{name}: text of at most {limit} characters expected")
        return value

    def number(self, name: str | int, limit: int = MAX_SEQUENCE) -> int:
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= limit:
            self._refuse(f"{name}: number from 0 to {limit} expected")
        return value

    def flag(self, name: str | int) -> bool:
        value = self._take(name)
        if type(value) is not bool:
            self._refuse(f"{name}: true or false expected")
        return value

    def algorithm(self, name: str | int) -> int:
        """A COSE algorithm number, of either sign."""
        value = self._take(name)
        if type(value) is not int:
            self._refuse(f"{name}: algorithm number expected")
        return value

    def octets(self, name: str | int, length: int | None = None) -> bytes:
        value = self._take(name)
        if type(value) is not bytes or (length is not None and len(value) != length):
            self._refuse(f"{name}: {'a' if length is None else length} byte string expected")
        return value

    def octets_or_none(self, name: str | int) -> bytes | None:
        if self._values.get(name, b"") is None:
            self._take(name)
            return None
        return self.octets(name)

    def choice(self, name: str | int, options: type[Choice]) -> Choice:
        """A member of a closed list, by its value."""
        value = self.text(name, 40)
        try:
            return options(value)
        except ValueError:
            self._refuse(f"{name}: unknown value {value!r}")

    def items(self, name: str | int, limit: int) -> list[Any]:
        value = self._take(name)
        if type(value) is not list:
            self._refuse(f"{name}: list expected")
        if len(value) > limit:
            raise WireError(Refusal.OVERSIZED, f"{self._where} {name}: more than {limit}")
        return value

    def mapping(self, name: str | int) -> Fields:
        value = self._take(name)
        if type(value) is not dict:
            self._refuse(f"{name}: map expected")
        return Fields(value, f"{self._where} {name}")

    def moment(self, name: str | int) -> datetime:
        return from_microseconds(self.number(name, _LATEST))

    def uuid(self, name: str | int) -> UUID:
        return UUID(bytes=self.octets(name, 16))

    def end(self) -> None:
        if self._values:
            self._refuse(f"unknown field {next(iter(self._values))}")

    def _take(self, name: str | int) -> Any:
        if name not in self._values:
            self._refuse(f"{name}: missing")
        return self._values.pop(name)

    def _refuse(self, why: str) -> NoReturn:
        raise WireError(Refusal.MALFORMED, f"{self._where} {why}")
