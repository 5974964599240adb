"""A link through a bad week: a stopped node, a mass mailing, an idle hour, a restarted parent."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from tests.federation.city import City, Site, office_id, wait_until
from zhengtong.kernel.messages.keyfile import read_keys
from zhengtong.kernel.messages.sealing import AHEAD, BATCH
from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.standing import Standing

pytestmark = pytest.mark.long
CLERK, LEADER, COUNTY = "市府办办事员", "市府办领导", "扶沟县办事员"


def _knock(centre: Site, proof: str) -> HTTPResponse:
    """Stand at the doorbell with this proof of who we are."""
    connection = HTTPConnection("127.0.0.1", centre.port, timeout=20)
    connection.request("GET", "/exchange/doorbell", headers={"Authorization": proof})
    return connection.getresponse()


def _proof(keys: NodeKeys, **changes: Any) -> str:
    now = datetime.now(UTC)
    counter = int(now.timestamp() * 1e6)
    values: dict[str, Any] = {
        "sender": keys.node,
        "receiver": "centre",
        "lane": 0,
        "at": now,
        "counter": counter,
    }
    batch = encode_batch(Batch(Standing(**(values | changes))), keys)
    return f"Batch {base64.urlsafe_b64encode(batch).decode()}"


def test_a_link_through_a_bad_week(city: City) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    to = [str(office_id("扶沟县"))]
    documents = centre.do("prepare", clerk=CLERK, leader=LEADER, to=to, number=5)
    reminded, urgent, quiet, later, answered = documents
    city.start()
    wait_until(lambda: bool(centre.do("link", node="fugou")["met"]), what="the two to meet")

    # The county's node is off for a week: mass mailings, a document, reminders, a 特急 document.
    fugou.stop()
    centre.do("post_bulk", node="fugou", number=1000)
    wait_until(lambda: centre.do("counts")["unreceipted"] >= AHEAD)
    centre.do("dispatch", clerk=CLERK, document=reminded)
    centre.do("remind", clerk=CLERK, document=reminded, text="请尽快签收。")
    centre.do("remind", clerk=CLERK, document=reminded, text="请立即签收。")
    centre.do("dispatch", clerk=CLERK, document=urgent, urgent=True)
    keys = read_keys(fugou.folder / "keys")
    stream = _knock(centre, _proof(keys))
    assert stream.status == 200
    assert stream.readline().startswith(b"mail "), "what waits is told at once"

    fugou.start()
    wait_until(lambda: set(fugou.do("received", clerk=COUNTY)) == {reminded, urgent})
    wait_until(lambda: fugou.do("reminders", clerk=COUNTY, document=reminded) == 2)
    wait_until(lambda: centre.do("counts")["unreceipted"] == 0)
    about = {reminded: [], urgent: []}  # type: dict[str, list[int]]
    for number, subject in fugou.do("arrivals", kind="documents."):
        if subject:
            about[subject.rpartition(":")[2]].append(number)
    assert len(about[reminded]) == 3, "the document and its two reminders"
    overtaken = BATCH + 10
    assert max(about[urgent] + about[reminded]) < overtaken, "both overtook the bulk"
    assert len(fugou.do("arrivals", kind="documents.reminded")) == 1002

    # Nothing happens for a while; then a document comes, told by the doorbell.
    fugou.stop()
    stream = _knock(centre, _proof(keys))
    centre.do("dispatch", clerk=CLERK, document=quiet)
    assert stream.readline() == b"mail 2\n"
    fugou.start()
    wait_until(lambda: quiet in fugou.do("received", clerk=COUNTY))

    # The parent is restarted; meanwhile the county signs for one and waits.
    centre.stop()
    fugou.do("sign_for", clerk=COUNTY, document=reminded)
    wait_until(lambda: fugou.do("link", node="centre")["failures"] > 0)
    assert "refused" in fugou.do("link", node="centre")["last_error"], "the page of links says why"
    centre.start()
    centre.do("dispatch", clerk=CLERK, document=later)
    wait_until(lambda: later in fugou.do("received", clerk=COUNTY))
    wait_until(lambda: reminded in centre.do("signed_for", clerk=CLERK))
    assert fugou.do("link", node="centre")["failures"] == 0

    # Nobody else can listen at the doorbell.
    stranger = NodeKeys.generate("fugou")
    hour = timedelta(hours=1)
    for proof in (
        "",
        "Batch",
        "Batch !!!",
        "Bearer abc",
        _proof(stranger),
        _proof(keys, at=datetime.now(UTC) - hour),
        _proof(keys, at=datetime.now(UTC) + hour),
        _proof(keys, receiver="xihua"),
        "Batch " + "A" * 20_000,
    ):
        assert _knock(centre, proof).status == 401, proof[:40]
    centre.do("dispatch", clerk=CLERK, document=answered)
    wait_until(lambda: answered in fugou.do("received", clerk=COUNTY))
