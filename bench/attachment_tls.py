"""Bench rows `attachment-tls-{down,up}`: the same file over mutual TLS, and from below as well.

The nodes show each other certificates on the exchange port (ADR 0013). `down` is from the city to
the county, which takes the file out of the answers to its dials; `up` is the other way. The
reference is the plain copy of `attachment-1g`, which encrypts nothing.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.attachment import Parcels, measure
from bench.parts import Row, free_ports
from zhengtong.kernel.messages.credentials import install
from zhengtong.kernel.node import load as read_node
from zhengtong.wire.certificates import create_authority, create_request, issue

NAMES = ("attachment-tls-down", "attachment-tls-up")


def rows(short: bool) -> list[Row]:
    """Both rows; `ours` and `reference` are megabytes (MiB) a second."""
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        pair = SecureParcels(Path(name), "intl")
        with pair.running():
            pair.send(200)  # imports, caches and connections are warm
            ways = (("city", "county"), ("county", "city"))
            return [
                measure(name, pair, *way, short=short)
                for name, way in zip(NAMES, ways, strict=True)
            ]


class SecureParcels(Parcels):
    """A pair whose road is mutual TLS."""

    def lay(self, city: Path, county: Path) -> None:
        super().lay(city, county)
        (port,) = free_ports(1)
        plain = read_node(city / "node.toml").port
        listen, received = f'listen = "127.0.0.1:{plain}"', f'exchange_listen = "127.0.0.1:{port}"'
        _change(city, listen, f"{listen}\n{received}")
        _change(county, f'"http://127.0.0.1:{plain}"', f'"https://127.0.0.1:{port}"')
        now = datetime.now(UTC)
        authority = create_authority("bench", "intl", now)
        for home in (city, county):
            key, request = create_request(home.name, "intl")
            certificate = issue(authority, request, home.name, ["127.0.0.1"], now)
            keys = read_node(home / "node.toml").keys
            install(keys, key=key, certificate=certificate, authorities=authority.certificate)


def _change(home: Path, old: str, new: str) -> None:
    path = home / "node.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
