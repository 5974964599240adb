"""What docs/protocol.md says of the roads is what the code does: names, numbers, permissions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import hold, nats_link, nats_streams
from zhengtong.kernel.messages.roads.nats_server import (
    DOWN,
    MAX_PAYLOAD,
    PARENT,
    STREAM_BYTES,
    UP,
    Server,
    account_of,
    configuration,
)
from zhengtong.wire import ferry
from zhengtong.wire.batch import MAX_BATCH

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    found = re.search(rf"^### {re.escape(number)} .*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return " ".join(found[0].split())


def test_a_leaf_may_do_what_the_page_says() -> None:
    server = Server(
        name="PARENT",
        store=Path("nats"),
        listen="127.0.0.1:4222",
        passwords={account_of("CHILD"): "secret"},
        leaves="127.0.0.1:7422",
        below={"CHILD": "U"},
    )
    text = configuration(server)
    said = section("17.2")
    for word, kind in (("publish", "publish"), ("receive", "subscribe")):
        (allowed,) = re.findall(rf"^ *{kind}: \[(.*)\]$", text, re.MULTILINE)
        (row,) = re.findall(rf"\| {word} \| (.*?) \|", said)
        assert re.findall("`(.*?)`", row) == re.findall('"(.*?)"', allowed)
    assert f"`{account_of('CHILD')}` at the parent and `{PARENT}` at the child" in said


@pytest.mark.parametrize(
    "words",
    [
        f"`{nats_link.REFUSED}`",
        f"stream `{DOWN}`",
        f"`{UP}.*` likewise",
        f"`{nats_streams.consumer_of(Lane.EMERGENCY)}` to `{nats_streams.consumer_of(Lane.BULK)}`",
        f"{STREAM_BYTES:,} bytes; {MAX_PAYLOAD:,} bytes a message",
        f"`max_payload` {MAX_PAYLOAD:,}",
        f"`ack_wait` {nats_streams.GIVE_AGAIN:g} s, at most {2 * nats_streams.AHEAD} unack",
        f"a request that stands {nats_link.PULL:g} s",
        f"said nothing for {nats_link.QUIET:g} s",
        f"other failure {nats_link.LATER:g} s",
        f"a batch of lane {int(Lane.NORMAL)};",
    ],
)
def test_nats_is_as_the_page_says(words: str) -> None:
    assert words in section("17.2")


@pytest.mark.parametrize(
    "words",
    [
        f"until head and padding are {ferry.HEAD} bytes",
        f"at most {ferry.MAX_FRAME} bytes of COSE_Encrypt",
        f"at most {ferry.MAX_VOLUME}",
        f"[1*{ferry.MAX_VOLUMES} extent]",
        f"**blocks** of {ferry.BLOCK:,} bytes",
        f"bytes .size {ferry.ID},",
    ],
)
def test_the_ferry_is_as_the_page_says(words: str) -> None:
    assert words in section("17.3")
    assert ferry.MAX_FRAME > MAX_BATCH


def test_a_volume_is_called_as_on_the_page() -> None:
    voyage = ferry.Voyage(
        id=bytes.fromhex("3f9a11").ljust(ferry.ID, b"\0"),
        number=7,
        sender="zhoukou",
        receiver="fugou",
        at=datetime(2026, 3, 2, tzinfo=UTC),
        level=1,
        volumes=(ferry.Extent(0, 0, 0, b""),) * 3,
    )
    assert f"for example `{hold.names(voyage)[1]}`" in section("17.3")
