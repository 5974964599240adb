"""Taking in what others sign: directories, and the answer to our own request to join."""

from __future__ import annotations

from django.conf import settings

from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.errors import NotFound, Refused
from zhengtong.kernel.labels import Zone
from zhengtong.kernel.membership.hosting import register
from zhengtong.kernel.membership.models import DirectoryVersion
from zhengtong.kernel.membership.queries import find_issuer, newest_directory
from zhengtong.kernel.membership.telling import pass_on, renew_directory, store
from zhengtong.kernel.messages.membership import take_card
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire import directory
from zhengtong.wire.directory import Directory, Held, Step
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.joining import JoinAnswer
from zhengtong.wire.keys import FindCard


@command("membership.take_directory", title="接收节点名录")
def take_directory(act: Act, signed: bytes, *, origin: str) -> DirectoryVersion | None:
    """Store a directory, make its organisations known and pass it on below; None if known.

    Raises NotFound for an issuer that no directory from above names yet, which is tried again;
    Refused for a forged, rolled back or forked one.
    """
    try:
        found = directory.read(signed, find_issuer())
        step = directory.follow(_held(found.issuer), found)
    except WireError as error:
        kind = NotFound if error.code is Refusal.UNKNOWN_SENDER else Refused
        raise kind(f"来自 {origin} 的节点名录不予采用：{error.zh}") from error
    if step is Step.SAME:
        return None
    _take(act, found, step)
    if Neighbour.objects.filter(name=origin, is_parent=True).exists():
        pass_on(act, signed)
    return newest_directory(found.issuer)


@command("membership.joined", title="加入上级节点")
def joined(act: Act, answer: JoinAnswer) -> Neighbour:
    """Admit the node above by its verified answer, and take its directory.

    Raises Refused when the directory is not the parent's, or does not name this node as active.
    """
    above = settings.NODE.parent
    if above and above.name != answer.card.node:
        raise Refused(f"node.toml 中的上级是 {above.name}，答复来自 {answer.card.node}。")
    neighbour = take_card(act, answer.card, is_parent=True)
    neighbour.recovery = answer.recovery.to_cbor() if answer.recovery else b""
    neighbour.save(update_fields=["recovery"])
    if answer.directory or settings.NODE.zone is not Zone.PUBLIC:
        _take_parents(act, answer)
    renew_directory(act)
    return neighbour


def _take_parents(act: Act, answer: JoinAnswer) -> None:
    find: FindCard = {answer.card.signing_kid: answer.card}.get
    try:
        found = directory.read(answer.directory, find)
        step = directory.follow(_held(found.issuer), found)
    except WireError as error:
        raise Refused(f"上级节点的名录不予采用：{error.zh}") from error
    entry = found.entry_of(settings.NODE.name)
    if entry is None or entry.status is not directory.Status.ACTIVE:
        raise Refused("上级节点的名录中没有本节点，入网没有完成。")
    if step is not Step.SAME:
        _take(act, found, step)


def _held(issuer: str) -> Held | None:
    newest = newest_directory(issuer)
    return Held(issuer, newest.version, bytes(newest.digest)) if newest else None


def _take(act: Act, found: Directory, step: Step) -> None:
    store(act, found)
    if step is Step.GAP:
        act.note(gap=True)
    for entry in found.entries:
        if entry.card.node != settings.NODE.name:
            register(act, entry.card.node, entry.organisations)
