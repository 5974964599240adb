"""Connections and streams: what both ends of a link over NATS must agree on."""

from __future__ import annotations

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads.nats_server import MAX_PAYLOAD, STREAM_BYTES

AHEAD = 2
"""Batches of one lane that are fetched before the first of them has been stored."""
GIVE_AGAIN = 10.0
"""Seconds until a batch that was taken but not acknowledged is given again."""


class RoadCut(Exception):
    """The road cannot carry anything just now; the text says why."""


async def connect(url: str, account: str, password: str) -> Client:
    """A connection that ends when it breaks. Raises RoadCut when there is none to be had."""

    async def said_elsewhere(error: Exception) -> None:
        """Every error also ends whatever waits for an answer."""

    try:
        return await nats.connect(
            f"nats://{url}",
            user=account,
            password=password,
            name=account,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            connect_timeout=5,
            error_cb=said_elsewhere,
            pending_size=4 * MAX_PAYLOAD,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise RoadCut(f"no NATS server at {url} lets us in: {error}") from error


async def make_stream(ours: JetStreamContext, name: str) -> None:
    """The stream of what we say, with one consumer a lane for the other side to pull from.

    One that stands already is only brought up to date: to ask for it again would count its bound
    twice against the server's disk.
    """
    wanted = api.StreamConfig(
        name=name,
        subjects=[f"{name}.*"],
        retention=api.RetentionPolicy.WORK_QUEUE,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_bytes=STREAM_BYTES,
        max_msg_size=MAX_PAYLOAD,
        num_replicas=1,
    )
    try:
        await ours.stream_info(name)
    except NotFoundError:
        await ours.add_stream(wanted)
    else:
        await ours.update_stream(wanted)
    for lane in Lane:
        await ours.add_consumer(
            name,
            api.ConsumerConfig(
                durable_name=consumer_of(lane),
                filter_subject=f"{name}.{int(lane)}",
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=GIVE_AGAIN,
                max_ack_pending=2 * AHEAD,
            ),
        )


def consumer_of(lane: Lane) -> str:
    return f"lane-{int(lane)}"
