"""A stored sample of every fact, as bytes that once travelled: `samples/<kind>.cbor`.

Nodes are upgraded one by one, so what an old node sent must keep its meaning for ever. The value a
sample stands for follows from its fields' names and types, so it need not be stored beside it.

    python -m tests.kernel.fact_samples      # write the samples that are still missing
"""

from __future__ import annotations

import dataclasses
import types
import typing
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "samples"
MOMENT = datetime(2026, 7, 1, 8, 30, 15, 250_000, tzinfo=UTC)


def path_of(kind: str) -> Path:
    return SAMPLES / f"{kind}.cbor"


def sample(hint: Any, name: str, raw: Any = None) -> Any:
    """The value of a field of this type and name.

    `raw` is the stored form, None when it is being made: of a dataclass only the stored fields
    are given, so that a field added since then has its default.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return sample(inner, name, raw)
    if origin is tuple:
        items = raw if raw is not None else [None, None]
        inner = typing.get_args(hint)[0]
        return tuple(sample(inner, f"{name}.{i}", item) for i, item in enumerate(items))
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        hints = typing.get_type_hints(hint)
        names = list(raw) if raw is not None else [f.name for f in dataclasses.fields(hint)]
        gone = set(names) - set(hints)
        assert not gone, f"{name}: {gone} was sent once and is no longer known"
        given = {key: sample(hints[key], key, raw[key] if raw else None) for key in names}
        return hint(**given)
    return _plain(hint, name)


def _plain(hint: Any, name: str) -> Any:
    values: dict[Any, Any] = {
        str: f"{name}：示例",
        int: sum(name.encode()) % 1000,
        bool: True,
        bytes: name.encode(),
        datetime: MOMENT,
        date: MOMENT.date(),
        uuid.UUID: uuid.uuid5(uuid.NAMESPACE_URL, name),
    }
    return values[hint]


def write_missing() -> list[str]:
    """Store a sample of every fact that has none; the kinds that were added."""
    from zhengtong.kernel.messages import facts

    added = []
    for kind, cls in sorted(facts.kinds().items()):
        if not path_of(kind).exists():
            SAMPLES.mkdir(exist_ok=True)
            path_of(kind).write_bytes(facts.encode(sample(cls, kind)))
            added.append(kind)
    return added


if __name__ == "__main__":
    import django

    from tests import engines

    engines.choose()
    django.setup()
    print("added:", ", ".join(write_missing()) or "nothing, every fact has its sample")
