"""What nodes tell one another about membership. The weight lies in the signed bytes inside."""

from __future__ import annotations

from dataclasses import dataclass

from zhengtong.kernel.messages.facts import Fact, fact


@fact("membership.directory_issued")
@dataclass(frozen=True, slots=True)
class DirectoryIssued(Fact):
    """A new version of a directory (`wire.directory`); passed on downwards unchanged."""

    signed: bytes


@fact("membership.keys_changed")
@dataclass(frozen=True, slots=True)
class KeysChanged(Fact):
    """The sender's new card, vouched for by its old key (`wire.vouching`)."""

    voucher: bytes


@fact("membership.keys_accepted")
@dataclass(frozen=True, slots=True)
class KeysAccepted(Fact):
    """From here on the sender seals this lane's letters for the new signing key of this id."""

    key: bytes
    lane: int


@fact("membership.recovery_kept")
@dataclass(frozen=True, slots=True)
class RecoveryKept(Fact):
    """The card of the sender's recovery key."""

    card: bytes


@fact("membership.certificate_wanted")
@dataclass(frozen=True, slots=True)
class CertificateWanted(Fact):
    """The sender asks the node above for a new TLS certificate (PKCS #10, PEM)."""

    csr: bytes


@fact("membership.certificate_issued")
@dataclass(frozen=True, slots=True)
class CertificateIssued(Fact):
    """The certificate asked for, and that of the authority that issued it (PEM)."""

    certificate: bytes
    authority: bytes
