"""Renewing TLS certificates: wanted by a node, issued by the one above, carried as letters."""

from __future__ import annotations

from django.conf import settings

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.membership import authority, keeping
from zhengtong.kernel.membership.messages import CertificateIssued, CertificateWanted
from zhengtong.kernel.membership.models import Member
from zhengtong.kernel.membership.telling import renew_directory, tell
from zhengtong.kernel.messages.identity import card_of, own_keys
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.certificates import create_request, expires_at, load_key, node_of
from zhengtong.wire.errors import WireError


@command("membership.renew_certificate", title="换发本节点证书")
def renew_certificate(act: Act) -> bool:
    """Ask the node above for a new certificate; a node with nobody above makes its own.

    Whether it is there already; otherwise it comes by letter.
    """
    name, suite = settings.NODE.name, own_keys().suite.name
    key, csr = create_request(name, suite)
    above = Neighbour.objects.filter(is_parent=True).first()
    if above is not None:
        keeping.write(keeping.NEXT_TLS_KEY, key)
        tell(act, CertificateWanted(csr), [above])
        return False
    certificate = authority.certify(csr, name, settings.NODE.url, suite, act.now)
    keeping.write(keeping.TLS_KEY, key)
    keeping.write(keeping.TLS_CERTIFICATE, certificate)
    renew_directory(act)
    return True


@command("membership.issue_certificate", title="签发节点证书")
def issue_certificate(act: Act, csr: bytes, *, origin: str) -> Member:
    """Certify a node below once more. Raises Refused for a node above, or a wrong request."""
    found = must_find(locked_for_update(Neighbour.objects.all()), name=origin)
    if found.is_parent or found.expelled:
        raise Refused(f"节点 {origin} 不由本节点签发证书。")
    card = card_of(found)
    try:
        certificate = authority.certify(csr, origin, card.url, card.suite, act.now)
    except WireError as error:
        raise Refused(f"节点 {origin} 的证书申请无法采用：{error.zh}") from error
    member, _ = Member.objects.get_or_create(node=origin, defaults={"joined_at": act.now})
    member.certificate = certificate.decode()
    member.certificate_expires = expires_at(certificate)
    member.save()
    tell(act, CertificateIssued(certificate, authority.trusted()), [found])
    act.note(node=origin, expires=member.certificate_expires.isoformat())
    renew_directory(act)
    return member


@command("membership.take_certificate", title="启用新证书")
def take_certificate(act: Act, certificate: bytes, trusted: bytes, *, origin: str) -> None:
    """Put the certificate that was asked for into use, with its key. Raises Refused."""
    above = must_find(Neighbour.objects.filter(is_parent=True), name=origin)
    key = keeping.read(keeping.NEXT_TLS_KEY)
    try:
        named = node_of(certificate, trusted, act.now)
        fits = bool(key) and load_key(key).public in keeping.der_of(certificate)
    except (WireError, ValueError) as error:
        raise Refused(f"“{above.title}”发来的证书无法采用。") from error
    if named != settings.NODE.name or not fits:
        raise Refused(f"“{above.title}”发来的证书与本节点的申请不符。")
    authority.trust(trusted)
    keeping.write(keeping.TLS_KEY, key)
    keeping.write(keeping.TLS_CERTIFICATE, certificate)
    keeping.drop(keeping.NEXT_TLS_KEY)
    act.note(expires=expires_at(certificate).isoformat())
