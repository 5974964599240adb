"""What the pages of outgoing and incoming documents share. Pure but for the given queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict

from zhengtong.capabilities.documents import queries
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import HouseError
from zhengtong.kernel.flow import diagram
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.ui.formats import chinese_date, chinese_time
from zhengtong.ui.pieces import Entry, Tone

URGENCY: dict[int, tuple[str, Tone]] = {
    0: ("平件", "idle"),
    1: ("加急", "wait"),
    2: ("特急", "bad"),
}
TONES: dict[ActionKind, Tone] = {ActionKind.RETURN: "bad", ActionKind.WITHDRAW: "wait"}


@dataclass(frozen=True, slots=True)
class Failure:
    """An act that was refused, and what had been filled in: nothing typed is lost."""

    verb: str
    error: HouseError
    data: QueryDict = field(default_factory=QueryDict)


def actor_of(request: HttpRequest) -> Actor:
    """The person signed in; the office lets nobody else through."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor


def said(
    request: HttpRequest, url: str, text: str, *, details: Sequence[str] = (), tone: str = "ok"
) -> HttpResponse:
    """Go to `url` and say `text` there, once. `tone` is "ok", or "bad" when something failed."""
    request.session["said"] = {"text": text, "details": list(details), "tone": tone}
    return HttpResponseRedirect(url)


def paper(document: Any) -> dict[str, Any]:
    """A document as it reads on the page, and everything that belongs to it."""
    attached = [
        {"name": item.name, "size": item.file.size, "sha256": item.file_id}
        for item in queries.attachments(document)
    ]
    return {
        "document": document,
        "paragraphs": [line.strip() for line in document.body.splitlines() if line.strip()],
        "addressed": "，".join(document.addressee_names),
        "copied": "，".join(document.copy_names),
        "attached": attached,
        "urgency": URGENCY.get(document.urgency, URGENCY[0]),
        "rendition": document.rendition_id,
    }


def course(found: queries.Standing | None) -> dict[str, Any]:
    """What has happened so far, newest first, and the picture of the procedure."""
    if found is None:
        return {"timeline": [], "diagram": ""}
    entries = []
    for step in queries.steps(found.case):
        kind = ActionKind(step.action["kind"])
        at_step = found.procedure.step(step.step)
        entries.append(
            Entry(
                at=step.at,
                who=step.person_name,
                did=_did(at_step.title, at_step.word(kind)),
                organisation=step.organisation_name,
                opinion=step.action.get("opinion", ""),
                tone=TONES.get(kind, "ok"),
            )
        )
    return {
        "timeline": entries[::-1],
        "diagram": diagram.svg(found.procedure, found.state),
    }


def _did(step: str, word: str) -> str:
    """会签 · 会签同意 says it twice; 登记 · 登记 too: the longer one alone is enough."""
    return word if step in word or word in step else f"{step}：{word}"


def facts(document: Any) -> list[tuple[str, object]]:
    """The facts at a glance, with times as people read them."""
    return [(name, _shown(value)) for name, value in queries.summary(document).items()]


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return chinese_time(value)
    return chinese_date(value) if hasattr(value, "isoformat") else value  # type: ignore[arg-type]


def uuids(texts: Sequence[str]) -> list[UUID]:
    """The identifiers among these texts; anything else is left out."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
