"""The two ways of a document through an office, as its clerks walk them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zhengtong.capabilities import documents
from zhengtong.kernel.flow import definition, engine
from zhengtong.kernel.flow.errors import NotAllowed, NotYourTurn
from zhengtong.kernel.flow.procedure import ActionKind, Procedure
from zhengtong.kernel.flow.state import Action, Actor, OpenTask, State

FOLDER = Path(documents.__path__[0]) / "procedures"
OUTGOING = definition.load(FOLDER / "outgoing.json")
INCOMING = definition.load(FOLDER / "incoming.json")
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)

DRAFTER = Actor("drafter", "city")
REVIEWER = Actor("reviewer", "city")
LEADER = Actor("leader", "city")
FINANCE = Actor("finance-clerk", "finance")
WATER = Actor("water-clerk", "water")
CLERK = Actor("clerk", "fugou")
MAYOR = Actor("mayor", "fugou")


def start(procedure: Procedure, **data: Any) -> State:
    owner = "city" if procedure is OUTGOING else "fugou"
    return engine.start(procedure, owner=owner, data=data, at=NOW).state


def walk(procedure: Procedure, state: State, *steps: tuple[Actor, str, str], **more: Any) -> State:
    for actor, kind, step in steps:
        action = Action(ActionKind(kind), step, actor, NOW, **more)
        state = engine.advance(procedure, state, action).state
    return state


def test_the_duties_are_the_names_of_the_commands() -> None:
    duties = {p.key: [step.who.duty for step in p.steps] for p in (OUTGOING, INCOMING)}
    assert duties == {
        "documents.outgoing": [
            "documents.draft",
            "documents.review",
            "documents.countersign",
            "documents.issue",
        ],
        "documents.incoming": [
            "documents.sign_for",
            "documents.register",
            "documents.instruct",
            "documents.read",
            "documents.close",
        ],
    }


@pytest.mark.parametrize("procedure", [OUTGOING, INCOMING], ids=["outgoing", "incoming"])
def test_the_files_say_exactly_what_is_read_from_them(procedure: Procedure) -> None:
    assert definition.read(definition.write(procedure)) == procedure


def test_a_document_with_nobody_to_countersign_goes_straight_to_issuing() -> None:
    state = start(OUTGOING, drafter="drafter")
    state = walk(OUTGOING, state, (DRAFTER, "agree", "draft"), (REVIEWER, "agree", "review"))
    assert state.step == "issue"
    assert walk(OUTGOING, state, (LEADER, "agree", "issue")).outcome == "issued"


def test_every_office_countersigns_before_the_leader_sees_it() -> None:
    state = start(OUTGOING, drafter="drafter", countersigners=["finance", "water"])
    state = walk(OUTGOING, state, (DRAFTER, "agree", "draft"), (REVIEWER, "agree", "review"))
    state = walk(OUTGOING, state, (FINANCE, "agree", "countersign"))
    with pytest.raises(NotYourTurn):
        walk(OUTGOING, state, (LEADER, "agree", "issue"))
    state = walk(OUTGOING, state, (WATER, "agree", "countersign"))
    assert walk(OUTGOING, state, (LEADER, "agree", "issue")).outcome == "issued"


def test_the_leader_sends_it_back_to_its_drafter_and_all_countersign_anew() -> None:
    state = start(OUTGOING, drafter="drafter", countersigners=["finance", "water"])
    way = (
        (DRAFTER, "agree", "draft"),
        (REVIEWER, "agree", "review"),
        (FINANCE, "agree", "countersign"),
        (WATER, "agree", "countersign"),
    )
    state = walk(OUTGOING, state, *way)
    back = Action(ActionKind.RETURN, "issue", LEADER, NOW, opinion="请补充依据", to_step="draft")
    outcome = engine.advance(OUTGOING, state, back)
    (task,) = [effect for effect in outcome.effects if isinstance(effect, OpenTask)]
    assert (task.assignee.id, task.duty, outcome.state.round) == ("drafter", "documents.draft", 2)
    state = walk(OUTGOING, outcome.state, *way, (LEADER, "agree", "issue"))
    assert state.outcome == "issued"


def test_a_draft_can_be_dropped_but_not_after_it_was_sent_on() -> None:
    state = start(OUTGOING, drafter="drafter")
    assert walk(OUTGOING, state, (DRAFTER, "close", "draft")).outcome == "dropped"
    with pytest.raises(NotAllowed):
        walk(OUTGOING, state, (DRAFTER, "agree", "draft"), (REVIEWER, "close", "review"))


def test_a_received_document_is_signed_for_registered_instructed_read_and_closed() -> None:
    state = start(INCOMING)
    state = walk(INCOMING, state, (CLERK, "agree", "sign_for"), (CLERK, "agree", "register"))
    readers = {"readers": ["deputy", "head"]}
    state = walk(INCOMING, state, (MAYOR, "agree", "instruct"), changes=readers)
    for reader in ("head", "deputy"):
        assert state.step == "circulate"
        state = walk(INCOMING, state, (Actor(reader, "fugou"), "agree", "circulate"))
    assert walk(INCOMING, state, (CLERK, "close", "close")).outcome == "closed"


def test_without_readers_circulation_is_skipped() -> None:
    state = walk(
        INCOMING,
        start(INCOMING),
        (CLERK, "agree", "sign_for"),
        (CLERK, "agree", "register"),
        (MAYOR, "agree", "instruct"),
    )
    assert state.step == "close"


def test_a_document_is_returned_to_its_sender_only_with_a_reason() -> None:
    with pytest.raises(NotAllowed, match="理由"):
        walk(INCOMING, start(INCOMING), (CLERK, "return", "sign_for"))
    state = walk(INCOMING, start(INCOMING), (CLERK, "return", "sign_for"), opinion="不属本单位职责")
    assert state.outcome == "returned"


def test_the_first_review_after_registration_may_still_return_it() -> None:
    """条例 art 24(3): what does not meet the requirements goes back with the reason."""
    state = walk(INCOMING, start(INCOMING), (CLERK, "agree", "sign_for"))
    state = walk(INCOMING, state, (CLERK, "return", "register"), opinion="缺附件")
    assert state.outcome == "returned"


def test_the_buttons_say_what_clerks_say() -> None:
    words = {
        step.title: step.word(ActionKind.AGREE)
        for procedure in (OUTGOING, INCOMING)
        for step in procedure.steps
        if ActionKind.AGREE in step.actions
    }
    assert words == {
        "拟稿": "送核稿",
        "核稿": "核稿通过",
        "会签": "会签同意",
        "签发": "签发",
        "签收": "签收",
        "登记": "登记",
        "拟办批示": "批示",
        "传阅": "已阅",
    }
