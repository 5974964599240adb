"""Our logs are stamped by a real authority (OpenSSL behind HTTP); its absence delays nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.federation.neighbour import Poser, tell
from tests.timestamping import Authority, Responder, responding
from zhengtong.kernel import audit, moment, stamping
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.messages import proof
from zhengtong.kernel.messages.exchange import accept
from zhengtong.kernel.messages.identity import own_card, own_keys
from zhengtong.kernel.messages.models import LogHead, Message
from zhengtong.kernel.node import Stamping
from zhengtong.kernel.stamping import (
    Stamp,
    Stamper,
    StampingTrouble,
    Unstamped,
    over_http,
    stamp_due,
)
from zhengtong.wire import authority
from zhengtong.wire.evidence_check import verify

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.debian]
HOUR = timedelta(hours=1)
SUBJECT = "urn:zhengtong:test:document:1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def tsa(made: Authority) -> Iterator[Responder]:
    with responding(made) as responder:
        yield responder


@pytest.fixture(autouse=True)
def fugou(settings: Any, tsa: Responder) -> Poser:
    """A neighbour, so that our exchange log has entries; and the node asks `tsa` every hour."""
    settings.NODE = replace(django_settings.NODE, stamping=Stamping(tsa.url, HOUR))
    poser = Poser(own_card()).admitted()
    accept(poser.batch())  # the two have met
    return poser


@pytest.fixture
def sealed_audit() -> None:
    """The audit log holds one sealed entry."""
    audit.record(Act(Actor("李明禾", "urn:zhengtong:person:1"), "x.y", moment.now()), "done")
    audit.seal(own_keys())


def stamped(tsa: Responder) -> list[str]:
    """Have stamped what is due; the logs that were ever stamped, in order."""
    stamp_due(over_http(tsa.url))
    return list(Stamp.objects.order_by("pk").values_list("log", flat=True))


def eventually(happens: Callable[[], bool]) -> bool:
    for _ in range(400):
        if happens():
            return True
        time.sleep(0.05)
    return False


def test_both_logs_are_stamped_but_never_more_often_than_asked(
    fugou: Poser, tsa: Responder, sealed_audit: None
) -> None:
    assert stamped(tsa) == ["test/evidence"]
    tell(fugou)
    assert stamped(tsa) == ["test/evidence", "test/exchange"]
    tell(fugou)
    assert len(stamped(tsa)) == 2
    with moment.fixed(moment.now() + HOUR):
        assert stamped(tsa)[2:] == ["test/exchange"]  # the audit log has not grown
    newest = Stamp.objects.latest("pk")
    assert newest.size == LogHead.objects.get().size
    assert newest.authority == "测试时间戳机构"


def test_the_stamp_is_in_the_evidence_and_judged_there(
    fugou: Poser, tsa: Responder, made: Authority
) -> None:
    letters = tell(fugou)
    Message.objects.update(subject=SUBJECT)
    accept(fugou.batch(receipts=fugou.receipt(letters), acknowledged=1))
    stamped(tsa)
    tell(fugou)  # the log goes on growing
    report = verify(proof.bundle("通知", SUBJECT, [], []), None, authority.read_pem(made.root))
    assert report.ok, report.findings
    lines = "\n".join(finding.zh for finding in report.findings)
    assert "由时间戳机构“测试时间戳机构”签名:第1个日志检查点于" in lines
    assert "封存的日志之中:第1封信发出" in lines
    assert "证书未与受信名单核对" not in lines
    assert "(测试时间戳机构时间戳)" in "\n".join(said.zh for said in report.summary)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\x30\x05\x30\x03\x02\x01\x02"])
def test_an_answer_that_is_no_stamp_is_refused_and_nothing_kept(
    fugou: Poser, answer: bytes
) -> None:
    tell(fugou)
    with pytest.raises(Exception, match=r"DER|refused|time stamp"):
        stamp_due(lambda request: answer)
    assert not Stamp.objects.exists()


def test_an_authority_that_fails_is_an_error_with_its_reason(tsa: Responder) -> None:
    tsa.broken = True
    with pytest.raises(Unstamped, match="HTTP 503"):
        over_http(tsa.url)(b"")
    with pytest.raises(Unstamped, match="refused"):
        over_http("http://127.0.0.1:9/")(b"")


def test_the_workers_job_never_waits_for_the_authority(fugou: Poser, tsa: Responder) -> None:
    """While one asks for long, the job comes back at once and letters go on."""
    tell(fugou)
    job = Stamper("me")
    with tsa.hanging():
        assert job.work() is False
        assert eventually(lambda: tsa.asked == 1)
        assert job.work() is False
        letters = tell(fugou)
        accept(fugou.batch(receipts=fugou.receipt(letters), acknowledged=letters[-1].sequence))
        assert not Stamp.objects.exists()
    assert eventually(Stamp.objects.exists)


def test_doctor_speaks_when_stamping_has_failed_for_long(fugou: Poser, tsa: Responder) -> None:
    tell(fugou)
    tsa.broken = True
    Stamper("me").work()
    assert eventually(StampingTrouble.objects.exists)
    assert list(stamping.problems()) == []
    with moment.fixed(moment.now() + timedelta(days=2)):
        (problem,) = stamping.problems()
    assert "HTTP 503" in problem
    assert "[stamping] in node.toml" in problem
    tsa.broken = False
    Stamper("me").work()
    assert eventually(lambda: not StampingTrouble.objects.exists())


def test_without_an_authority_nobody_is_asked(settings: Any, fugou: Poser, tsa: Responder) -> None:
    tell(fugou)
    settings.NODE = replace(django_settings.NODE, stamping=None)
    Stamper("me").work()
    assert list(stamping.problems()) == []
    assert tsa.asked == 0
