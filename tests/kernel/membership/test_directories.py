"""A received directory is believed, passed on, or refused with the reason in view."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests import build
from tests.kernel.membership.conftest import Applicant, House, Peer
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.membership import queries
from zhengtong.kernel.membership.messages import DirectoryIssued
from zhengtong.kernel.membership.models import DirectoryVersion
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.models import Handling, Letter
from zhengtong.wire.directory import Directory, Entry, Hosted, issue

OFFICE = Hosted(UUID(int=7), "410001", "河南省人民政府办公厅", "省政府办公厅", "province")


@pytest.fixture
def henan(house: House) -> Peer:
    """The node above."""
    applicant = Applicant("henan", url="https://henan.example")
    admit(node_actor({"messages.admit"}), applicant.card, is_parent=True)
    return applicant.poser()


def directory(
    issuer: Peer, after: Directory | None = None, *entries: Entry, number: int = 1
) -> Directory:
    """The directory of an issuer, so many versions after another."""
    for _ in range(number):
        listed = [Entry(issuer.card, organisations=(OFFICE,)), *entries]
        after = issue(issuer.keys, listed, after=after, issued_at=moment.now())
    assert after
    return after


def receive(origin: Peer, signed: bytes) -> str:
    """Let it come as a letter; what the reaction complained of, empty when it did not."""
    origin.send(origin.envelope(DirectoryIssued(signed)))
    build.settle()
    failed = Handling.objects.filter(done=False).order_by("-pk").first()
    return failed.error if failed else ""


def held(issuer: str = "henan") -> int:
    row = queries.newest_directory(issuer)
    return row.version if row else 0


def test_a_directory_from_above_is_kept_and_passed_on_below(house: House, henan: Peer) -> None:
    house.admit(Applicant())
    before = Letter.objects.count()
    issued = directory(henan)
    assert receive(henan, issued.signed) == ""
    assert held() == 1
    assert Organisation.objects.get(pk=OFFICE.id).node == "henan"
    (passed,) = Letter.objects.order_by("pk")[before:]
    assert passed.neighbour.name == "xihua"
    assert issued.signed in bytes(passed.message.body)


def test_the_same_directory_twice_does_nothing(house: House, henan: Peer) -> None:
    issued = directory(henan)
    receive(henan, issued.signed)
    before = Letter.objects.count()
    assert receive(henan, issued.signed) == ""
    assert (held(), Letter.objects.count()) == (1, before)


def test_a_gap_is_taken_and_noted(house: House, henan: Peer) -> None:
    first = directory(henan)
    receive(henan, first.signed)
    assert receive(henan, directory(henan, first, number=3).signed) == ""
    assert held() == 4
    newest = AuditEntry.objects.filter(verb="membership.take_directory").latest("pk")
    assert newest.detail["gap"] is True


def test_a_rolled_back_directory_is_refused(house: House, henan: Peer) -> None:
    first = directory(henan)
    receive(henan, directory(henan, first).signed)
    assert "比本节点已有的旧" in receive(henan, first.signed)
    assert held() == 2


def test_a_forked_directory_is_refused(house: House, henan: Peer) -> None:
    receive(henan, directory(henan).signed)
    other = directory(henan, None, Entry(Applicant("fugou").card))
    assert "不予采用" in receive(henan, other.signed)
    assert DirectoryVersion.objects.filter(issuer="henan").count() == 1


def test_a_forged_directory_is_refused(house: House, henan: Peer) -> None:
    """A node below signs in the name of the one above; a stranger signs as himself."""
    house.admit(Applicant())
    stranger = Peer(own_card(), "stranger")
    assert "不在本节点的节点名录中" in receive(henan, directory(stranger).signed)
    altered = bytearray(directory(henan).signed)
    altered[-1] ^= 1
    assert "不予采用" in receive(henan, bytes(altered))
    assert held() == 0


def test_a_directory_of_a_node_beyond_the_one_above_is_believed(house: House, henan: Peer) -> None:
    """The node above names it as active in its own directory."""
    centre = Applicant("centre", url="https://centre.example").poser()
    early = directory(centre)
    assert "不在本节点的节点名录中" in receive(henan, early.signed)
    receive(henan, directory(henan, None, Entry(centre.card)).signed)
    with moment.fixed(moment.now() + timedelta(minutes=10)):
        build.settle()
    assert held("centre") == 1, "what came too early is tried again"


def test_a_node_below_vouches_for_no_issuer(house: House, henan: Peer) -> None:
    applicant = Applicant()
    house.admit(applicant)
    xihua, centre = applicant.poser(), Applicant("centre").poser()
    receive(xihua, directory(xihua, None, Entry(centre.card)).signed)
    assert held("xihua") == 1
    receive(xihua, directory(centre).signed)
    assert held("centre") == 0


def test_a_new_node_gets_what_came_from_above_before(house: House, henan: Peer) -> None:
    issued = directory(henan)
    receive(henan, issued.signed)
    house.admit(Applicant())
    told = [bytes(item.message.body) for item in Letter.objects.filter(neighbour__name="xihua")]
    assert any(issued.signed in body for body in told)
    ours = queries.directories()[0]
    assert ours.entry_of("henan"), "by whose card it can check that"


def test_a_directory_moves_no_organisation(house: House, henan: Peer) -> None:
    ours = Organisation.objects.get()
    stolen = Hosted(ours.pk, ours.code, "改了名", "改", "county")
    doubled = Hosted(uuid4(), ours.code, "同代码", "同", "county")
    receive(
        henan,
        directory(
            henan, None, Entry(Applicant("fugou").card, organisations=(stolen, doubled))
        ).signed,
    )
    again = Organisation.objects.get(pk=ours.pk)
    assert (again.node, again.name) == ("test", ours.name)
    assert not Organisation.objects.filter(pk=doubled.id).exists()
