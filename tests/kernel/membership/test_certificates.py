"""Certificates are renewed in time: warned of, asked for, issued, put into use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import build
from tests.kernel.membership.conftest import Applicant, House
from zhengtong.faces.cli.doctor import _certificates
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.membership import authority, keeping, queries
from zhengtong.kernel.membership.commands import certificates
from zhengtong.kernel.membership.messages import CertificateWanted
from zhengtong.kernel.membership.models import Member
from zhengtong.kernel.messages.facts import decode
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.models import Handling, Message
from zhengtong.wire.certificates import create_authority, create_request, issue, node_of


def node(duty: str) -> Any:
    return node_actor({f"membership.{duty}"})


def test_an_expiring_certificate_is_warned_of(house: House) -> None:
    house.admit(Applicant())
    assert list(queries.warnings()) == []
    with moment.fixed(moment.now() + timedelta(days=340)):
        assert dict(queries.warnings()) == {"test": 24, "xihua": 24}
    with moment.fixed(moment.now() + timedelta(days=370)):
        assert all(days < 0 for _, days in queries.warnings())


def test_the_doctor_says_so(house: House) -> None:
    house.admit(Applicant())
    with moment.fixed(moment.now() + timedelta(days=350)):
        (found,) = _certificates()
    assert "xihua" in found and "renew-certificate" in found


def test_a_node_below_gets_a_new_certificate(house: House) -> None:
    applicant = Applicant()
    house.admit(applicant)
    xihua = applicant.poser()
    before = Member.objects.get().certificate
    _, csr = create_request("xihua", "intl")
    xihua.send(xihua.envelope(CertificateWanted(csr)))
    build.settle()
    renewed = Member.objects.get().certificate
    assert renewed != before
    assert node_of(renewed.encode(), authority.trusted(), moment.now()) == "xihua"
    told = Message.objects.get(kind="membership.certificate_issued")
    fact: Any = decode(told.kind, bytes(told.body))
    assert (fact.certificate.decode(), fact.authority) == (renewed, authority.trusted())


def test_nobody_gets_a_certificate_in_anothers_name(house: House) -> None:
    applicant = Applicant()
    house.admit(applicant)
    xihua = applicant.poser()
    before = Member.objects.get().certificate
    _, csr = create_request("test", "intl")
    xihua.send(xihua.envelope(CertificateWanted(csr)))
    build.settle()
    assert "无法采用" in Handling.objects.get(dead=True).error
    assert Member.objects.get().certificate == before


def test_the_root_renews_its_own(house: House) -> None:
    house.admit(Applicant())
    before = keeping.own_certificate()
    assert certificates.renew_certificate(node("renew_certificate"))
    assert keeping.own_certificate() != before
    assert node_of(keeping.own_certificate(), authority.trusted(), moment.now()) == "test"


def test_a_certificate_from_above_is_put_into_use_with_its_key(house: House) -> None:
    admit(node_actor({"messages.admit"}), Applicant("henan").card, is_parent=True)
    assert not certificates.renew_certificate(node("renew_certificate"))
    told = Message.objects.get(kind="membership.certificate_wanted")
    csr = decode(told.kind, bytes(told.body)).csr  # type: ignore[attr-defined]
    above = create_authority("henan", "intl", moment.now())

    def take(certificate: bytes) -> None:
        certificates.take_certificate(
            node("take_certificate"), certificate, above.certificate, origin="henan"
        )

    _, other = create_request("test", "intl")
    for wrong in (
        issue(above, Applicant("fugou").csr, "fugou", [], moment.now()),
        issue(above, other, "test", [], moment.now()),
        b"rubbish",
    ):
        with pytest.raises(Refused):
            take(wrong)
    assert keeping.own_certificate() == b""
    good = issue(above, csr, "test", ["test.example"], moment.now())
    take(good)
    assert keeping.own_certificate() == good
    assert keeping.read(keeping.TLS_KEY) and not keeping.read(keeping.NEXT_TLS_KEY)
    assert above.certificate in authority.trusted()
