"""What `node nats-config` writes: read by the real server, and one link cannot see another."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from tests.federation.city import free_port, wait_until
from tests.roads.nats import SERVER
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.messages.roads.nats_server import DOWN, PARENT, STREAM_BYTES, UP, account_of
from zhengtong.kernel.messages.roads.nats_streams import connect, consumer_of, make_stream
from zhengtong.kernel.messages.roads.nkeys import is_public, make_seed, public_of
from zhengtong.kernel.node import Node, load
from zhengtong.wire.batch import MAX_BATCH

CHILDREN = ("fugou", "shenqiu")


class Servers:
    """The servers of a city node and two counties, as nats-config sets them up."""

    def __init__(self, folder: Path) -> None:
        leaves = free_port()
        self.nodes = {
            "centre": _node(folder, "centre", f'leaves = "127.0.0.1:{leaves}"\n', ""),
            **{
                name: _node(
                    folder,
                    name,
                    f'above = "127.0.0.1:{leaves}"\n',
                    '[parent]\nname = "centre"\nurl = "http://127.0.0.1:1"\nroad = "nats"\n',
                )
                for name in CHILDREN
            },
        }
        for name in CHILDREN:
            written = nats_files.write(self.nodes[name], [])
            nats_files.remember_leaf(self.nodes["centre"], name, written.key)
        self.written = nats_files.write(self.nodes["centre"], [*CHILDREN, "xihua"])

    def configuration(self, name: str) -> Path:
        return self.nodes[name].home / "nats" / "server.conf"

    async def client(self, name: str, account: str) -> Client:
        node = self.nodes[name]
        assert node.nats
        return await connect(node.nats.url, account, nats_files.passwords(node)[account])

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, node in self.nodes.items():
                log = stack.enter_context((node.home / "nats.log").open("wb"))
                command = [str(SERVER), "-c", str(self.configuration(name))]
                process = subprocess.Popen(command, stdout=log, stderr=log)
                stack.callback(process.wait)
                stack.callback(process.kill)
            for name in CHILDREN:
                said = self.nodes[name].home / "nats.log"
                wait_until(lambda said=said: "JetStream using domains" in said.read_text())  # type: ignore[misc]
            yield


def _node(folder: Path, name: str, nats_table: str, parent: str) -> Node:
    (folder / name).mkdir()
    path = folder / name / "node.toml"
    path.write_text(
        f'[node]\nname = "{name}"\nzone = "private"\n{parent}'
        f'[nats]\nurl = "127.0.0.1:{free_port()}"\n{nats_table}'
    )
    return load(path)


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


def test_the_server_takes_every_file_and_nobody_else_reads_the_secrets(servers: Servers) -> None:
    assert servers.written.without_key == ("xihua",), "a child without a key is named"
    for name, node in servers.nodes.items():
        command = [str(SERVER), "-t", "-c", str(servers.configuration(name))]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        for path in [*(node.home / "nats").iterdir(), *node.keys.iterdir()]:
            assert path.stat().st_mode & 0o077 == 0, path
    text = servers.configuration("centre").read_text()
    for promise in ("sync_interval: always", "no_advertise: true", 'domain: "centre"'):
        assert promise in text


def test_secrets_stay_when_the_file_is_written_again(servers: Servers) -> None:
    before = servers.configuration("fugou").read_text()
    again = nats_files.write(servers.nodes["fugou"], [])
    assert servers.configuration("fugou").read_text() == before
    assert again.key == nats_files.leaves(servers.nodes["centre"])["fugou"]


def test_a_node_cannot_see_the_link_of_another(servers: Servers) -> None:
    """Whoever holds everything that fugou's node holds asks for all there is, every way."""

    async def spy() -> None:
        above = await servers.client("centre", account_of("shenqiu"))
        victim = above.jetstream()
        await make_stream(victim, DOWN)
        thief = await servers.client("fugou", PARENT)
        heard: list[str] = []

        async def hear(message: Msg) -> None:
            heard.append(message.subject)

        for subject in (">", f"{DOWN}.*", f"{UP}.*", "_INBOX.>"):
            await thief.subscribe(subject, cb=hear)
        await thief.flush()
        secret = b"for shenqiu only"
        await victim.publish(f"{DOWN}.2", secret)
        for domain in ("centre", "shenqiu"):
            theirs = thief.jetstream(domain=domain, timeout=1)
            with suppress(nats.errors.Error):
                pulled = await theirs.pull_subscribe_bind(
                    consumer=consumer_of(Lane.NORMAL), stream=DOWN
                )
                got = await pulled.fetch(1, timeout=1)
                raise AssertionError(f"fugou got {got[0].data!r}")
            with pytest.raises(nats.errors.Error):
                await theirs.stream_info(DOWN)
            with pytest.raises(nats.errors.Error):
                await theirs.delete_stream(DOWN)
        assert (await victim.stream_info(DOWN)).state.messages == 1
        assert not [subject for subject in heard if subject.startswith((DOWN, UP))]

        below = await servers.client("shenqiu", PARENT)  # the one it is for gets it
        pulled = await below.jetstream(domain="centre").pull_subscribe_bind(
            consumer=consumer_of(Lane.NORMAL), stream=DOWN
        )
        (message,) = await pulled.fetch(1, timeout=5)
        assert message.data == secret
        for client in (above, thief, below):
            await client.close()

    with servers.running():
        asyncio.run(spy())


def test_a_leaf_may_fetch_and_acknowledge_and_nothing_else(servers: Servers) -> None:
    """Even in the account of its own link a child cannot empty or reshape its parent's stream."""

    async def meddle() -> None:
        above = await servers.client("centre", account_of("fugou"))
        ours = above.jetstream()
        await make_stream(ours, DOWN)
        await ours.publish(f"{DOWN}.2", b"stays")
        below = await servers.client("fugou", PARENT)
        theirs = below.jetstream(domain="centre", timeout=1)
        for attempt in (
            theirs.delete_stream(DOWN),
            theirs.purge_stream(DOWN),
            theirs.delete_consumer(DOWN, consumer_of(Lane.NORMAL)),
            below.jetstream(timeout=1).publish(f"{DOWN}.2", b"forged"),
        ):
            with pytest.raises(nats.errors.Error):
                await attempt
        assert (await ours.stream_info(DOWN)).state.messages == 1
        await above.close()
        await below.close()

    with servers.running():
        asyncio.run(meddle())


def test_the_largest_batch_passes_and_a_full_road_refuses(servers: Servers) -> None:
    async def fill() -> None:
        above = await servers.client("centre", account_of("fugou"))
        ours: JetStreamContext = above.jetstream(timeout=10)
        await make_stream(ours, DOWN)
        await make_stream(ours, DOWN)  # again, as after a restart
        largest = b"\x5a" * MAX_BATCH
        with pytest.raises(nats.js.errors.APIError, match="maximum bytes"):
            for _ in range(STREAM_BYTES // MAX_BATCH + 1):
                await ours.publish(f"{DOWN}.3", largest)
        below = await servers.client("fugou", PARENT)
        pulled = await below.jetstream(domain="centre").pull_subscribe_bind(
            consumer=consumer_of(Lane.BULK), stream=DOWN
        )
        (message,) = await pulled.fetch(1, timeout=10)
        assert message.data == largest
        await message.ack()
        await below.close()
        await above.close()

    with servers.running():
        asyncio.run(fill())


def test_an_nkey_of_ours_is_one_the_server_knows() -> None:
    """`test_the_server_takes_every_file` reads them with the real server; here the form."""
    counter = itertools.count()
    seed = make_seed(lambda number: bytes(next(counter) for _ in range(number)))
    assert seed.startswith("SU") and len(seed) == 58
    key = public_of(seed)
    assert is_public(key) and key.startswith("U") and len(key) == 56
    assert not is_public(key[:-1] + ("A" if key[-1] != "A" else "B")), "a slip of the pen"
    assert not is_public(seed) and not is_public("")
    for wrong in ("", "SU", key, seed[:-1], seed.lower()):
        with pytest.raises(ValueError):
            public_of(wrong)
