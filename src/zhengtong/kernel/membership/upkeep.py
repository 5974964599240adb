"""What the worker sees to by itself: a change of keys taken to its end, letters sealed anew."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max

from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.membership.commands import keys
from zhengtong.kernel.membership.models import FormerCard, Rotation
from zhengtong.kernel.membership.queries import rotation
from zhengtong.kernel.messages import commands
from zhengtong.kernel.messages.models import Letter, Neighbour, Sent
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.wire.errors import Refusal

BY_KEYS = (Refusal.UNDECRYPTABLE, Refusal.UNKNOWN_SENDER, Refusal.BAD_SIGNATURE)
"""How a letter comes back that was sealed or signed with a key which has been changed since."""
STRAGGLING = timedelta(minutes=1)
"""A letter that was being sealed while the keys changed is numbered a moment later."""
AT_ONCE = 100


def work() -> bool:
    """One step of what is due; whether there was any."""
    return _go_on_changing_keys() or _seal_anew()


def _go_on_changing_keys() -> bool:
    found = rotation()
    if found is None:
        return False
    overdue = moment.now() >= found.started_at + keys.LONGEST_OVERLAP
    answered = _answered(found)
    names = Neighbour.objects.filter(expelled=False).values_list("name", flat=True)
    if found.switched_at is None:
        if overdue or all(answered.get(name) for name in names):
            keys.switch_keys(node_actor({"membership.switch_keys"}))
            return True
    elif overdue or all(answered.get(name, set()) >= set(Lane) for name in names):
        keys.retire_keys(node_actor({"membership.retire_keys"}))
        return True
    return False


def _answered(found: Rotation) -> dict[str, set[int]]:
    """In which lanes each neighbour seals for the new key."""
    answered: dict[str, set[int]] = {}
    for node, lane in found.answers.values_list("node", "lane"):
        answered.setdefault(node, set()).add(lane)
    return answered


def _seal_anew() -> bool:
    changed = _changes()
    if not changed or not Sent.objects.filter(refusal__gt="").exists():
        return False
    by_keys = Sent.objects.filter(
        refusal__in=[code.value for code in BY_KEYS]
    )  # the first condition is that of the index
    refused = commands.refused().filter(sent__in=by_keys, neighbour__expelled=False)
    due = [letter.pk for letter in refused[:AT_ONCE] if _outdated(letter, changed)]
    if not due:
        return False
    keys.seal_anew(node_actor({"membership.seal_anew"}), due)
    return True


def _changes() -> dict[str, datetime]:
    """When each node last changed its keys, this one included."""
    rows = FormerCard.objects.values_list("node").annotate(Max("replaced_at"))
    return dict(rows.values_list("node", "replaced_at__max"))


def _outdated(letter: Letter, changed: dict[str, datetime]) -> bool:
    """Whether the letter was sealed before its sender or receiver changed keys."""
    names = (settings.NODE.name, letter.neighbour.name)
    at = letter.sent.at - STRAGGLING
    return any(name in changed and at < changed[name] for name in names)
