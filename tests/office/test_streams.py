"""What an open page hears, and the doorbell of a neighbour."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from tests import build
from tests.office.conftest import Desk
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.faces import doorbell
from zhengtong.faces.office import stream
from zhengtong.faces.server.streams import Request, Stream, StreamHandler
from zhengtong.kernel import moment, notices
from zhengtong.kernel.bell import ring
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.standing import Standing

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 10.0


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    def work() -> Any:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(work)


def asked(headers: dict[str, str], query: str = "") -> Request:
    return Request("GET", "/", query, headers, "127.0.0.1", in_thread)


def hear(
    handler: StreamHandler, request: Request, after: list[Callable[[], object]]
) -> tuple[int, list[bytes]]:
    """Open a stream, do the acts one after another, and note the chunk that follows each.

    The first chunk is the one that comes before any act; a stream that ends gives no more.
    """

    async def listen() -> tuple[int, list[bytes]]:
        opened: Stream = await handler(request)
        heard: list[bytes] = []
        try:
            heard.append(await _next(opened))
            for act in after:
                await in_thread(act)
                heard.append(await _next(opened))
        except StopAsyncIteration:
            pass
        finally:
            close: Callable[[], Awaitable[None]] = opened.chunks.aclose  # type: ignore[attr-defined]
            await close()
        return opened.status, heard

    return asyncio.run(listen())


async def _next(opened: Stream) -> bytes:
    return await asyncio.wait_for(anext(opened.chunks), PATIENCE)


def message(chunk: bytes) -> tuple[int, dict[str, Any]]:
    """The number and content of the last event in a chunk."""
    lines = chunk.decode().strip().split("\n\n")[-1].split("\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(fields["id"]), json.loads(fields["data"])


def cookie(client: Any) -> dict[str, str]:
    return {"cookie": f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}"}


def test_a_page_hears_of_its_own_offices_tasks_with_the_new_count(desk: Desk) -> None:
    city, other = build.office(), build.office("扶沟县人民政府", kind="county")
    client = desk(city.leader)
    drafted = outgoing.draft(city.clerk, build.draft([other.organisation]))

    def elsewhere_then_here() -> None:
        outgoing.draft(other.clerk, build.draft([city.organisation]))
        outgoing.submit(city.clerk, drafted)

    status, (first, then) = hear(stream.listen, asked(cookie(client)), [elsewhere_then_here])
    assert status == 200
    assert message(first)[1] == {"todo": 0}
    number, content = message(then)
    assert content["todo"] == 1
    assert content["kind"] == "task"
    assert drafted.title not in then.decode()
    assert number == notices.newest()


def test_a_page_that_comes_back_hears_what_it_missed(desk: Desk) -> None:
    city = build.office()
    client = desk(city.leader)
    drafted = outgoing.draft(city.clerk, build.draft([city.organisation]))
    last = notices.newest()
    outgoing.submit(city.clerk, drafted)
    for request in (
        asked(cookie(client) | {"last-event-id": str(last)}),
        asked(cookie(client), f"last={last}"),
    ):
        _, (missed,) = hear(stream.listen, request, [])
        assert message(missed)[1]["todo"] == 1
    _, (fresh,) = hear(stream.listen, asked(cookie(client) | {"last-event-id": "x'--"}), [])
    assert message(fresh)[0] == notices.newest()


def test_nobody_hears_without_a_session_and_nothing_after_signing_out(desk: Desk) -> None:
    city = build.office()
    client = desk(city.leader)
    for headers in ({}, {"cookie": f"{settings.SESSION_COOKIE_NAME}=made-up"}):
        assert hear(stream.listen, asked(headers), [])[0] == 401
    drafted = outgoing.draft(city.clerk, build.draft([city.organisation]))

    def sign_out_and_act() -> None:
        client.session.flush()
        outgoing.submit(city.clerk, drafted)

    status, heard = hear(stream.listen, asked(cookie(client)), [sign_out_and_act])
    assert (status, len(heard)) == (200, 1)


def test_listening_keeps_no_session_alive(desk: Desk) -> None:
    client = desk(build.office().clerk)
    with moment.fixed(moment.now() + timedelta(minutes=20)):
        assert hear(stream.listen, asked(cookie(client)), [])[0] == 200
    with moment.fixed(moment.now() + timedelta(minutes=31)):
        assert hear(stream.listen, asked(cookie(client)), [])[0] == 401


KEYS = NodeKeys.generate("fugou", "intl")


def neighbour(**given: Any) -> Neighbour:
    card = NodeCard.issue(
        KEYS,
        title="扶沟县",
        zone="private",
        ceiling=2,
        url="https://fugou.example",
        issued_at=moment.now(),
    )
    values = {"title": "扶沟县", "zone": "private", "ceiling": 2, "card": card.to_cbor()}
    made = Neighbour.objects.create(name="fugou", last_contact=moment.now(), **values)
    LinkLane.objects.create(neighbour=made, lane=2, **given)
    return made


def proof(receiver: str = "", keys: NodeKeys = KEYS, **given: Any) -> dict[str, str]:
    values: dict[str, Any] = {"lane": 0, "at": moment.now(), "counter": 1}
    to = receiver or settings.NODE.name
    standing = Standing(sender=keys.node, receiver=to, **(values | given))
    data = base64.urlsafe_b64encode(encode_batch(Batch(standing), keys)).decode()
    return {"authorization": f"Batch {data}"}


def test_a_neighbour_hears_of_each_new_letter() -> None:
    link = neighbour()

    def letter(sealed: int) -> Callable[[], None]:
        def seal() -> None:
            LinkLane.objects.filter(neighbour=link).update(sealed=sealed)
            ring()

        return seal

    async def listen() -> list[bytes]:
        opened = await doorbell.listen(asked(proof()))
        assert opened.status == 200
        lines = []
        for number in (1, 2):
            coming = asyncio.ensure_future(anext(opened.chunks))
            await asyncio.sleep(0.2)
            assert not coming.done()  # silent until there is something new
            await in_thread(letter(number))
            lines.append(await asyncio.wait_for(coming, PATIENCE))
        await opened.chunks.aclose()  # type: ignore[attr-defined]
        return lines

    assert asyncio.run(listen()) == [b"mail 2\n", b"mail 2\n"]
    lane = LinkLane.objects.get(neighbour=link)
    assert lane.heard == 0  # the proof takes no part in the exchange


def test_mail_that_waits_already_is_told_at_once() -> None:
    neighbour(sealed=3, receipted=1)
    assert hear(doorbell.listen, asked(proof()), []) == (200, [b"mail 2\n"])


def test_the_doorbell_answers_neighbours_only() -> None:
    neighbour()
    stranger = NodeKeys.generate("fugou", "intl")
    old = proof(at=moment.now() - timedelta(hours=1))
    wrong = [
        {},
        {"authorization": "Batch !!!"},
        {"authorization": "Batch " + "A" * 100_000},
        {"authorization": "Bearer x"},
        {"authorization": "Batch é"},
        proof("elsewhere"),
        proof(keys=stranger),
        old,
    ]
    for headers in wrong:
        assert hear(doorbell.listen, asked(headers), []) == (401, [])
    Neighbour.objects.update(suspended=True)
    assert hear(doorbell.listen, asked(proof()), []) == (401, [])
