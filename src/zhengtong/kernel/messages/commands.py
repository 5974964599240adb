"""What an administrator of the links can do: send again what was refused, retry what failed."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import AboveCeiling, Refused
from zhengtong.kernel.labels import Level, may_enter
from zhengtong.kernel.messages import facts, pieces
from zhengtong.kernel.messages.models import Handling, Letter, Message, Sent
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.routes import ways_to


def refused() -> QuerySet[Letter]:
    """Letters that the neighbour refused and that nobody has sent again since, newest first."""
    return _unrepeated().filter(pk__in=Sent.objects.filter(refusal__gt="").values("letter"))


def stuck() -> QuerySet[Letter]:
    """Letters that could not even be sealed, and have not been sent again since, newest first."""
    return _unrepeated().filter(problem__gt="")


def _unrepeated() -> QuerySet[Letter]:
    later = Letter.objects.filter(
        message=OuterRef("message"), destination=OuterRef("destination"), id__gt=OuterRef("id")
    )
    return (
        Letter.objects.filter(~Exists(later))
        .select_related("message", "neighbour", "sent")
        .order_by("-id")
    )


@command("messages.resend", title="重发信件")
def resend(act: Act, letter: int) -> Letter:
    """Send a refused or unsealed letter's message once more, under a new number of the link.

    The refused number stays as it is: it is evidence. What was refused of the files it speaks of
    goes ahead of it. Raises NotFound, Refused, AboveCeiling.
    """
    found = must_find(Letter.objects.select_related("message", "neighbour", "sent"), pk=letter)
    if not (refused().filter(pk=letter).exists() or stuck().filter(pk=letter).exists()):
        raise Refused("这封信件没有被拒收，或者已经重发，不必再发。")
    message = found.message
    if found.neighbour.expelled:
        raise Refused(f"“{found.neighbour.title}”已被除名，不能再向其发信。")
    way = ways_to([found.destination]).get(found.destination)
    if way is None or found.envelope:
        raise Refused("这封信件是替别的节点转送的，或已没有送达的路径，请由发信节点重发。")
    if not may_enter(message.level, way.ceiling):
        raise AboveCeiling(
            f"“{way.node.title}”最高只能接收“{Level(way.ceiling).word}”信息，"
            f"不能发送“{Level(message.level).word}”内容。"
        )
    for piece in _refused_pieces(message, found.destination):
        post(piece, [way], found.lane)
    post(message, [way], found.lane)
    act.note(letter=letter, message=str(message.pk), to=way.destination)
    return found


def _refused_pieces(message: Message, destination: str) -> list[Message]:
    """The pieces of the message's files that did not get there, in order."""
    try:
        named = facts.files_of(facts.decode(message.kind, bytes(message.body)))
    except (facts.UnknownKind, facts.MalformedFact):
        return []
    subjects = {pieces.subject_of(file) for file in named}
    failed = (refused() | stuck()).filter(destination=destination, message__subject__in=subjects)
    return [letter.message for letter in failed.order_by("id")]


@command("messages.retry", title="重新处理信件")
def retry(act: Act, handling: int) -> Handling:
    """Give a reaction that was given up another round of attempts. Raises NotFound, Refused."""
    found = must_find(locked_for_update(Handling.objects.select_related("message")), pk=handling)
    if found.done or not found.dead:
        raise Refused("这项处理没有失败，不必重试。")
    found.dead, found.attempts = False, 0
    found.save(update_fields=["dead", "attempts"])
    Message.objects.filter(pk=found.message_id).update(pending=True, claimed_until=None)
    act.note(message=str(found.message_id), reaction=found.reaction)
    return found
