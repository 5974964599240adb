"""A suspended node is refused and loses nothing; an expelled one leaves visibly dead letters."""

from __future__ import annotations

import pytest

from tests import build
from tests.federation.neighbour import a_fact, dial
from tests.kernel.membership.conftest import Applicant, House, Peer
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Denied, Invalid, Refused
from zhengtong.kernel.membership import queries
from zhengtong.kernel.membership.commands import standing
from zhengtong.kernel.messages import commands, exchange
from zhengtong.kernel.messages.facts import encode
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.models import Arrival, Letter, Message, Neighbour
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.routes import way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.errors import Refusal, WireError


@pytest.fixture
def xihua(house: House) -> Peer:
    """An admitted node that has already got what was told it on joining."""
    applicant = Applicant()
    house.admit(applicant)
    made = applicant.poser()
    dial(made.batch())
    seal_all()
    for lane in exchange.to_say("xihua"):
        made.take(lane, made.fetch(lane))
    assert not standing.undelivered(link()).exists()
    return made


def link() -> Neighbour:
    return Neighbour.objects.get(name="xihua")


def seal_all() -> None:
    while seal_waiting():
        pass


def tell() -> Message:
    fact = a_fact()
    message = Message.objects.create(
        kind=fact.kind, body=encode(fact), level=1, origin="test", at=moment.now()
    )
    post(message, [way_to(link())], 2)
    return message


def test_a_suspended_node_is_refused_and_resumed_without_loss(house: House, xihua: Peer) -> None:
    standing.suspend(house.first, "xihua", reason="设备检修")
    message = tell()
    seal_all()
    letters = xihua.next(xihua.envelope())
    assert dial(xihua.batch(*letters))[:2] == (403, "suspended")
    with pytest.raises(WireError) as refused:
        exchange.compose("xihua", 2)
    assert refused.value.code is Refusal.SUSPENDED
    assert not Arrival.objects.exists()

    standing.resume(house.second, "xihua")
    seal_all()
    assert dial(xihua.batch(*letters))[0] == 200
    assert Arrival.objects.count() == 1
    (waited,) = xihua.fetch(2)
    assert bytes(Letter.objects.get(message=message).sent.envelope) == waited.envelope
    assert len(xihua.fetch(1)) == 2, "two versions of the directory"


def test_standing_is_in_the_directory(house: House, xihua: Peer) -> None:
    def status() -> str:
        entry = queries.directories()[0].entry_of("xihua")
        assert entry
        return entry.status.value

    assert status() == "active"
    standing.suspend(house.first, "xihua", reason="设备检修")
    assert status() == "suspended"
    standing.resume(house.first, "xihua")
    assert status() == "active"
    standing.expel(house.first, "xihua", reason="撤并")
    assert status() == "expelled"


def test_an_expelled_node_leaves_dead_letters_with_a_reason(house: House, xihua: Peer) -> None:
    sealed, waiting = tell(), None
    seal_all()
    waiting = tell()
    standing.expel(house.first, "xihua", reason="机构撤并")
    assert dial(xihua.batch())[:2] == (403, "expelled")
    dead = {item.message_id: item for item in commands.stuck()}
    assert {sealed.pk, waiting.pk} <= set(dead)
    assert "机构撤并" in dead[sealed.pk].problem
    assert not Letter.objects.filter(waiting=True).exists()
    with pytest.raises(Refused, match="除名"):
        commands.resend(node_actor({"messages.resend"}), dead[sealed.pk].pk)


def test_nothing_more_is_addressed_to_an_expelled_node(house: House, xihua: Peer) -> None:
    there = build.organisation("西华县人民政府", node="xihua", kind="county")
    standing.expel(house.first, "xihua", reason="机构撤并")
    office = Organisation.objects.exclude(pk=there.pk).get()
    clerk = build.person(office, [*build.CLERK, *build.LEADER])
    document = outgoing.draft(clerk, build.draft([there]))
    outgoing.submit(clerk, document)
    outgoing.review(clerk, document, agree=True)
    document = outgoing.issue(clerk, document, agree=True)
    document = outgoing.lay_out(node_actor(), document)
    with pytest.raises(Refused, match="xihua"):
        outgoing.dispatch(clerk, document)


def test_each_step_is_possible_once(house: House, xihua: Peer) -> None:
    with pytest.raises(Refused):
        standing.resume(house.first, "xihua")
    standing.suspend(house.first, "xihua", reason="检修")
    with pytest.raises(Refused):
        standing.suspend(house.first, "xihua", reason="检修")
    standing.expel(house.first, "xihua", reason="撤并")
    with pytest.raises(Refused, match="已被除名"):
        standing.resume(house.first, "xihua")
    with pytest.raises(Refused, match="已被除名"):
        standing.suspend(house.first, "xihua", reason="检修")
    with pytest.raises(Refused, match="已被除名"):
        standing.expel(house.first, "xihua", reason="撤并")


def test_a_reason_is_asked_for(house: House, xihua: Peer) -> None:
    with pytest.raises(Invalid):
        standing.suspend(house.first, "xihua", reason="  ")
    with pytest.raises(Invalid):
        standing.expel(house.first, "xihua", reason="")


def test_a_child_does_not_expel_its_parent(house: House) -> None:
    admit(node_actor({"messages.admit"}), Applicant("henan").card, is_parent=True)
    with pytest.raises(Refused, match="上级"):
        standing.expel(house.first, "henan", reason="误操作")


def test_without_the_duty_nobody_is_suspended(house: House, xihua: Peer) -> None:
    clerk = build.person(Organisation.objects.get(), ["links.read"])
    with pytest.raises(Denied):
        standing.suspend(clerk, "xihua", reason="检修")
    assert not link().suspended
