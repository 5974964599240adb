"""What a node does when another tells it something about membership. It is the node that acts."""

from __future__ import annotations

from zhengtong.kernel.directory.actors import Actor, node_actor
from zhengtong.kernel.membership.commands import certificates, directory, keys
from zhengtong.kernel.membership.messages import (
    CertificateIssued,
    CertificateWanted,
    DirectoryIssued,
    KeysAccepted,
    KeysChanged,
    RecoveryKept,
)
from zhengtong.kernel.messages.reactions import Reacting, on


def _node(duty: str) -> Actor:
    return node_actor({duty})


@on(DirectoryIssued)
def take_directory(reacting: Reacting, fact: DirectoryIssued) -> None:
    actor = _node("membership.take_directory")
    directory.take_directory(actor, fact.signed, origin=reacting.origin)


@on(KeysChanged)
def accept_keys(reacting: Reacting, fact: KeysChanged) -> None:
    keys.accept_keys(_node("membership.accept_keys"), fact.voucher, origin=reacting.origin)


@on(KeysAccepted)
def note_accepted(reacting: Reacting, fact: KeysAccepted) -> None:
    actor = _node("membership.note_accepted")
    keys.note_accepted(actor, fact.key, origin=reacting.origin, lane=fact.lane)


@on(RecoveryKept)
def keep_recovery(reacting: Reacting, fact: RecoveryKept) -> None:
    keys.keep_recovery(_node("membership.keep_recovery"), fact.card, origin=reacting.origin)


@on(CertificateWanted)
def issue_certificate(reacting: Reacting, fact: CertificateWanted) -> None:
    actor = _node("membership.issue_certificate")
    certificates.issue_certificate(actor, fact.csr, origin=reacting.origin)


@on(CertificateIssued)
def take_certificate(reacting: Reacting, fact: CertificateIssued) -> None:
    actor = _node("membership.take_certificate")
    certificates.take_certificate(actor, fact.certificate, fact.authority, origin=reacting.origin)
