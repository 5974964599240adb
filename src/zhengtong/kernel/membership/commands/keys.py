"""Changing keys: in good order, with the old key vouching, or after a loss, with the recovery key.

In good order nothing in flight is lost. The new keys are announced under the old ones; every
neighbour then seals for the new one and says so in each lane of the link, behind the last letter
it sealed for the old one. Once all have answered, the node signs with the new keys; once all have
answered in every lane, nothing for the old key can be in flight any more and it is destroyed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.membership import keeping
from zhengtong.kernel.membership.messages import KeysAccepted, KeysChanged, RecoveryKept
from zhengtong.kernel.membership.models import FormerCard, Rotation, RotationAnswer
from zhengtong.kernel.membership.queries import newest_directory, read_held, rotation
from zhengtong.kernel.membership.telling import renew_directory, tell
from zhengtong.kernel.messages import keyfile
from zhengtong.kernel.messages.identity import card_for, card_of, own_card, own_keys, recovery_of
from zhengtong.kernel.messages.membership import take_card
from zhengtong.kernel.messages.models import Letter, Neighbour
from zhengtong.kernel.messages.outbox import Lane, post
from zhengtong.kernel.messages.routes import ways_to
from zhengtong.wire.errors import WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.vouching import Cause, Voucher, claimed_card, read_voucher, vouch

LONGEST_OVERLAP = timedelta(days=30)


@command("membership.rotate", title="更换本节点密钥")
def rotate(act: Act) -> Rotation:
    """Make new keys and announce them. The rest follows by itself (see `upkeep`)."""
    if rotation() is not None:
        raise Refused("密钥更换正在进行，完成后才能再次更换。")
    old = own_keys()
    new = NodeKeys.generate(old.node, old.suite.name)
    keyfile.prepare_next(settings.NODE.keys, new)
    voucher = vouch(old, card_for(new), Cause.ROTATION, act.now)
    started = Rotation.objects.create(
        old_card=own_card().to_cbor(),
        new_key=new.signing_kid.hex(),
        voucher=voucher.signed,
        started_at=act.now,
    )
    tell(act, KeysChanged(voucher.signed), Neighbour.objects.all())
    act.note(old=old.signing_kid.hex(), new=new.signing_kid.hex())
    return started


@command("membership.accept_keys", title="采用对方新密钥")
def accept_keys(act: Act, voucher: bytes, *, origin: str) -> Neighbour:
    """Take a neighbour's new card that its old key vouches for, and seal for it from now on.

    Told once more, we answer once more: one of the two was restored, and may have lost the answer.
    Raises Refused when the statement does not hold.
    """
    found = must_find(locked_for_update(Neighbour.objects.all()), name=origin)
    if not _is_known(voucher, found):
        new = _verified(voucher, found, Cause.ROTATION).card
        found = take_card(
            act, new, is_parent=found.is_parent, former_until=act.now + LONGEST_OVERLAP
        )
        renew_directory(act)
    for lane in Lane:
        tell(act, KeysAccepted(card_of(found).signing_kid, int(lane)), [found], lane)
    return found


@command("membership.note_accepted", title="记录对方采用新密钥")
def note_accepted(act: Act, key: bytes, *, origin: str, lane: int) -> Rotation | None:
    """A neighbour seals this lane's letters for our new key; None when that is old news."""
    found = rotation()
    if found is None or found.new_key != key.hex():
        return None
    RotationAnswer.objects.get_or_create(rotation=found, node=origin, lane=lane)
    act.note(node=origin, lane=lane)
    return found


@command("membership.switch_keys", title="启用本节点新密钥")
def switch_keys(act: Act) -> Rotation:
    """Sign with the new keys from now on. Done again after an interruption, it does the rest."""
    found = _under_way()
    if found.switched_at is not None:
        raise Refused("新密钥已经启用。")
    keyfile.use_next(settings.NODE.keys)
    if own_keys().signing_kid.hex() != found.new_key:
        raise Refused("新密钥文件缺失，无法启用。请由备份恢复 keys 目录。")
    FormerCard.objects.create(
        node=settings.NODE.name,
        card=found.old_card,
        replaced_at=act.now,
        accepted_until=act.now,
    )
    found.switched_at = act.now
    found.save(update_fields=["switched_at"])
    renew_directory(act)
    act.note(key=found.new_key)
    return found


@command("membership.retire_keys", title="销毁本节点旧密钥")
def retire_keys(act: Act) -> Rotation:
    """Destroy the old keys: nothing sealed for them is in flight, or the longest time is over."""
    found = _under_way()
    if found.switched_at is None:
        raise Refused("新密钥尚未启用，旧密钥不能销毁。")
    found.finished_at = act.now
    found.save(update_fields=["finished_at"])
    act.note(key=NodeCard.from_cbor(bytes(found.old_card)).signing_kid.hex())
    keyfile.drop_spare(settings.NODE.keys)
    return found


@command("membership.replace_lost_keys", title="密钥遗失后重新制发")
def replace_lost_keys(act: Act, recovery: NodeKeys) -> Voucher:
    """On the node that lost its keys: new ones, and the recovery key's word for them.

    Raises Refused when the recovery key is another node's or not the one registered.
    """
    registered = keeping.own_recovery_card()
    if recovery.node != settings.NODE.name:
        raise Refused(f"这是节点 {recovery.node} 的恢复密钥。")
    if registered and registered.signing_kid != recovery.signing_kid:
        raise Refused("这不是本节点登记的恢复密钥。")
    lost = _lost_card()
    new = NodeKeys.generate(recovery.node, recovery.suite.name)
    voucher = vouch(recovery, card_for(new), Cause.LOSS, act.now)
    if lost:
        FormerCard.objects.create(
            node=lost.node, card=lost.to_cbor(), replaced_at=act.now, accepted_until=act.now
        )
    Rotation.objects.filter(finished_at=None).update(finished_at=act.now)
    keyfile.replace_lost(settings.NODE.keys, new)
    act.note(new=new.signing_kid.hex())
    return voucher


@command("membership.rekey", title="采用对方恢复后的新密钥")
def rekey(act: Act, voucher: bytes, *, node: str) -> Neighbour:
    """Take a neighbour's new card on the word of its recovery key.

    The lost key counts for nothing from this moment on. Letters sealed for it come back as
    undecryptable and are sealed anew (see `seal_anew`). Repeating it changes nothing.
    """
    found = must_find(locked_for_update(Neighbour.objects.filter(expelled=False)), name=node)
    if claimed_card(voucher) == card_of(found):
        return found
    new = _verified(voucher, found, Cause.LOSS).card
    FormerCard.objects.filter(node=node, accepted_until__gt=act.now).update(accepted_until=act.now)
    neighbour = take_card(act, new, is_parent=found.is_parent)
    renew_directory(act)
    return neighbour


@command("membership.seal_anew", title="按新密钥重新封装信件")
def seal_anew(act: Act, letters: Iterable[int]) -> int:
    """Send letters once more that a key changed since could not open or verify; how many."""
    found = list(Letter.objects.filter(pk__in=letters).select_related("message", "neighbour"))
    ways = ways_to(letter.destination for letter in found)
    for letter in found:
        post(letter.message, [ways[letter.destination]], letter.lane)
    act.note(letters=[letter.pk for letter in found])
    return len(found)


@command("membership.register_recovery", title="登记恢复密钥")
def register_recovery(act: Act, card: NodeCard) -> NodeCard:
    """Make this node's recovery key known to its neighbours. It is registered once."""
    if keeping.own_recovery_card() is not None:
        raise Refused("本节点已登记恢复密钥，不能另行登记。")
    tell(act, RecoveryKept(card.to_cbor()), Neighbour.objects.all())
    keeping.write(keeping.RECOVERY_CARD, card.to_cbor())
    act.note(key=card.signing_kid.hex())
    return card


@command("membership.keep_recovery", title="登记对方恢复密钥")
def keep_recovery(act: Act, card: bytes, *, origin: str) -> Neighbour:
    """Note a neighbour's recovery key, once: whoever stole its key must not replace it."""
    found = must_find(locked_for_update(Neighbour.objects.all()), name=origin)
    try:
        read = NodeCard.from_cbor(card)
    except WireError as error:
        raise Refused(f"来自 {origin} 的恢复密钥无法采用：{error.zh}") from error
    known = recovery_of(found)
    if read.node != origin or (known and known.keys != read.keys):
        raise Refused(f"节点 {origin} 已登记另一枚恢复密钥，或所报不是其本身的。")
    if known is None:
        found.recovery = card
        found.save(update_fields=["recovery"])
        renew_directory(act)
    act.note(node=origin, key=read.signing_kid.hex())
    return found


def _is_known(voucher: bytes, neighbour: Neighbour) -> bool:
    """Whether the card that a voucher carries is the one we have."""
    try:
        return claimed_card(voucher) == card_of(neighbour)
    except WireError:
        return False


def _verified(voucher: bytes, neighbour: Neighbour, cause: Cause) -> Voucher:
    try:
        found = read_voucher(voucher, card_of(neighbour), recovery_of(neighbour))
    except WireError as error:
        raise Refused(f"节点 {neighbour.name} 的换钥声明不予采用：{error.zh}") from error
    if found.cause is not cause:
        raise Refused(f"节点 {neighbour.name} 的换钥声明用错了办理方式。")
    return found


def _under_way() -> Rotation:
    return must_find(locked_for_update(Rotation.objects.filter(finished_at=None)))


def _lost_card() -> NodeCard | None:
    """Our card before the loss: from the keys if they can still be read, or as the node above
    has us in its directory."""
    try:
        return own_card()
    except (FileNotFoundError, WireError):
        above = settings.NODE.parent
        row = newest_directory(above.name) if above else None
        row = row or newest_directory(settings.NODE.name)
        entry = read_held(row).entry_of(settings.NODE.name) if row else None
        return entry.card if entry else None
