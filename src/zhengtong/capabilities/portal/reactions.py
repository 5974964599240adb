"""Offered → an article to review; Published and Withdrawn → the public node; and its answers.

A fact is known both where it is told and where it is sent, so each reaction says on which kind of
node it has anything to do.
"""

from __future__ import annotations

from django.conf import settings

from zhengtong.capabilities.documents.messages import Offered
from zhengtong.capabilities.portal import messages
from zhengtong.capabilities.portal.commands import offering, online, releasing
from zhengtong.kernel import files
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.reactions import Reacting, on


@on(Offered)
def take_offer(act: Reacting, fact: Offered) -> None:
    offering.take_offer(act.as_node(), fact)


@on(messages.Published)
def put_online(act: Reacting, fact: messages.Published) -> None:
    if not settings.PUBLIC_FACE:
        return
    lacking = [item.sha256 for item in fact.files if not files.exists(item.sha256)]
    if lacking:
        online.ask_files(act.as_node(), fact, act.origin, lacking)
    else:
        online.put_online(act.as_node(), fact, act.origin)


@on(messages.Withdrawn)
def take_offline(act: Reacting, fact: messages.Withdrawn) -> None:
    if settings.PUBLIC_FACE:
        online.take_offline(act.as_node(), fact, act.origin)


@on(messages.Baked)
def note_online(act: Reacting, fact: messages.Baked) -> None:
    if not settings.PUBLIC_FACE:
        _believe_only_the_portal(act)
        releasing.note_online(act.as_node(), fact)


@on(messages.Removed)
def note_removed(act: Reacting, fact: messages.Removed) -> None:
    if not settings.PUBLIC_FACE:
        _believe_only_the_portal(act)
        releasing.note_removed(act.as_node(), fact)


@on(messages.Lacking)
def send_files_again(act: Reacting, fact: messages.Lacking) -> None:
    if not settings.PUBLIC_FACE:
        _believe_only_the_portal(act)
        releasing.send_files_again(act.as_node(), fact)


def _believe_only_the_portal(act: Reacting) -> None:
    if not Neighbour.objects.filter(name=act.origin, zone="public").exists():
        raise Refused(f"{act.origin} 不是外网节点，其回报未予采信。")
