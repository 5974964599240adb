"""The leaf line over TLS: only servers with a certificate of the network join, both ways."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import nats
import pytest

from tests.federation.city import free_port, wait_until
from tests.roads.nats import SERVER
from tests.server.served import certify
from zhengtong.kernel.messages.credentials import AUTHORITY, CERTIFICATE
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.messages.roads.nats_server import DOWN, PARENT, account_of
from zhengtong.kernel.messages.roads.nats_streams import connect, consumer_of, make_stream
from zhengtong.kernel.node import Node, load
from zhengtong.wire.certificates import Authority, create_authority

NOW = datetime.now(UTC)


class Ends:
    """The servers of a centre and a county, with the certificates that they are given."""

    def __init__(self, folder: Path, centre: Authority, county: Authority) -> None:
        leaves = f"127.0.0.1:{free_port()}"
        self.centre = _node(folder / "centre", centre, f'leaves = "{leaves}"\n', "")
        above = '[parent]\nname = "centre"\nurl = "https://centre.example"\nroad = "nats"\n'
        self.county = _node(folder / "fugou", county, f'above = "{leaves}"\n', above)
        written = nats_files.write(self.county, [])
        nats_files.remember_leaf(self.centre, "fugou", written.key)
        nats_files.write(self.centre, ["fugou"])

    @contextmanager
    def running(self) -> Iterator[None]:
        started: list[subprocess.Popen[bytes]] = []
        try:
            for node in (self.centre, self.county):
                with (node.home / "nats.log").open("wb") as log:
                    command = [str(SERVER), "-c", str(node.home / "nats" / "server.conf")]
                    started.append(subprocess.Popen(command, stdout=log, stderr=log))
            yield
        finally:
            for process in started:
                process.kill()
                process.wait()

    def said(self, node: Node) -> str:
        return (node.home / "nats.log").read_text()

    def fetched(self) -> bytes | None:
        """What the county gets of the message that the centre hands over; None if it gets none."""

        async def carry() -> bytes | None:
            above = await connect(_url(self.centre), account_of("fugou"), _password(self.centre))
            ours = above.jetstream()
            await make_stream(ours, DOWN)
            await ours.publish(f"{DOWN}.2", b"a batch")
            below = await connect(_url(self.county), PARENT, _password(self.county))
            try:
                pulled = await below.jetstream(domain="centre").pull_subscribe_bind(
                    consumer=consumer_of(Lane.NORMAL), stream=DOWN
                )
                with suppress(nats.errors.Error):
                    (message,) = await pulled.fetch(1, timeout=2)
                    return bytes(message.data)
                return None
            finally:
                await above.close()
                await below.close()

        return asyncio.run(carry())


def _node(home: Path, authority: Authority, nats_table: str, parent: str) -> Node:
    certify(home / "keys", authority, home.name, at=NOW)
    (home / "node.toml").write_text(
        f'[node]\nname = "{home.name}"\nzone = "private"\n{parent}'
        f'[nats]\nurl = "127.0.0.1:{free_port()}"\ntls = "keys"\n{nats_table}'
    )
    return load(home / "node.toml")


def _url(node: Node) -> str:
    assert node.nats
    return node.nats.url


def _password(node: Node) -> str:
    (password,) = nats_files.passwords(node).values()
    return password


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("henan", "intl", NOW)


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return create_authority("henan", "intl", NOW)


def test_a_leaf_with_a_certificate_of_the_network_joins(
    tmp_path: Path, authority: Authority
) -> None:
    ends = Ends(tmp_path, authority, authority)
    with ends.running():
        wait_until(lambda: "JetStream using domains" in ends.said(ends.county), 20)
        assert ends.fetched() == b"a batch"


def test_a_leaf_without_a_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    """It has the nkey, and knows the authority, but shows nothing."""
    ends = Ends(tmp_path, authority, authority)
    file = ends.county.home / "nats" / "server.conf"
    lines = file.read_text().splitlines(keepends=True)
    (tls,) = [line for line in lines if "cert_file" in line]
    ca = tls[tls.index("ca_file") :]
    file.write_text("".join("    tls { " + ca if line == tls else line for line in lines))
    assert CERTIFICATE not in file.read_text()
    with ends.running():
        wait_until(lambda: "TLS leafnode handshake error" in ends.said(ends.centre), 20)
        assert ends.fetched() is None
        assert "JetStream using domains" not in ends.said(ends.county)


def test_a_leaf_with_a_certificate_of_another_authority_is_refused(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    ends = Ends(tmp_path, authority, stranger)
    (ends.county.keys / AUTHORITY).write_bytes(authority.certificate)  # it would take ours
    with ends.running():
        wait_until(lambda: "certificate signed by unknown authority" in ends.said(ends.centre), 20)
        assert ends.fetched() is None


def test_a_leaf_shows_nothing_to_a_server_that_another_authority_vouches_for(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    ends = Ends(tmp_path, stranger, authority)
    with ends.running():
        wait_until(lambda: "certificate signed by unknown authority" in ends.said(ends.county), 20)
        assert ends.fetched() is None
