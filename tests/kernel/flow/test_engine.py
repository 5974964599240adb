"""What a person who works in a procedure would notice."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import pytest

from zhengtong.kernel.flow import codec, definition, engine
from zhengtong.kernel.flow.errors import (
    FlowError,
    NotAllowed,
    NotYourTurn,
    UnknownStep,
    WrongData,
    WrongVersion,
)
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.kernel.flow.state import (
    Action,
    CloseTask,
    Closing,
    DropDue,
    Effect,
    Entered,
    Finished,
    OpenTask,
    SetDue,
    State,
)

from .cases import (
    AUTHOR,
    DATA,
    FINANCE,
    HEAD,
    LAW,
    NOW,
    PROCEDURE,
    STRANGER,
    act,
    organisation,
    person,
    plain,
)


def begin(**changes: object) -> State:
    return engine.start(PROCEDURE, owner="bureau", data={**DATA, **changes}, at=NOW).state


def run(state: State, *actions: Action) -> State:
    for action in actions:
        state = engine.advance(PROCEDURE, state, action).state
    return state


def effects(state: State, action: Action) -> tuple[Effect, ...]:
    return engine.advance(PROCEDURE, state, action).effects


def asked(effects: Iterable[Effect]) -> list[str]:
    return [effect.assignee.id for effect in effects if isinstance(effect, OpenTask)]


def at_countersign() -> State:
    return run(begin(), act(AUTHOR, "agree", "draft"))


def at_issue() -> State:
    agreed = (act(who, "agree", "countersign") for who in (FINANCE, LAW))
    return run(at_countersign(), *agreed)


def test_starting_asks_the_first_person_with_the_duty_and_title_of_the_step() -> None:
    outcome = engine.start(PROCEDURE, owner="bureau", data=DATA, at=NOW)
    assert outcome.effects == (
        Entered("draft", 1),
        OpenTask(1, "draft", 1, "起草", "test.draft", person("author")),
    )


def test_countersigning_waits_for_the_last_office() -> None:
    state = at_countersign()
    first = engine.advance(PROCEDURE, state, act(LAW, "agree", "countersign", opinion="无意见"))
    assert first.effects == (CloseTask(3, Closing.DONE),)
    assert first.state.step == "countersign"
    last = engine.advance(PROCEDURE, first.state, act(FINANCE, "agree", "countersign"))
    assert last.effects == (
        CloseTask(2, Closing.DONE),
        DropDue("countersign", NOW),
        Entered("issue", 1),
        OpenTask(4, "issue", 1, "签发", "test.issue", organisation("bureau")),
    )


def test_entering_a_step_with_a_limit_starts_its_clock() -> None:
    found = effects(begin(), act(AUTHOR, "agree", "draft"))
    assert SetDue("countersign", 1, "test.countersign_limit", NOW) in found


def test_a_condition_skips_the_step() -> None:
    state = run(begin(urgent=True, offices=[]), act(AUTHOR, "agree", "draft"))
    assert state.step == "issue" and state.path == ("draft",)


def test_issuing_finishes_and_nothing_is_accepted_any_more() -> None:
    outcome = engine.advance(PROCEDURE, at_issue(), act(HEAD, "agree", "issue"))
    assert outcome.effects[-1] == Finished("issued", NOW)
    assert outcome.state.finished
    for kind in ActionKind:
        with pytest.raises(NotAllowed, match="已签发，不能再操作"):
            engine.advance(PROCEDURE, outcome.state, Action(kind, "issue", HEAD, NOW))
    assert engine.options(PROCEDURE, outcome.state, HEAD) == engine.Options()


def test_a_return_goes_to_the_chosen_step_and_the_new_round_asks_everyone_again() -> None:
    half = run(at_countersign(), act(LAW, "agree", "countersign"))
    sent_back = act(FINANCE, "return", "countersign", to_step="draft", opinion="经费未落实")
    outcome = engine.advance(PROCEDURE, half, sent_back)
    assert (outcome.state.step, outcome.state.round) == ("draft", 2)
    assert asked(outcome.effects) == ["author"]
    again = engine.advance(PROCEDURE, outcome.state, act(AUTHOR, "agree", "draft"))
    assert asked(again.effects) == ["finance", "law"]
    state = run(again.state, act(FINANCE, "agree", "countersign"))
    assert state.step == "countersign", "the agreement of the first round does not count"


def test_a_return_closes_the_tasks_of_the_others() -> None:
    sent_back = act(FINANCE, "return", "countersign", to_step="draft", opinion="经费未落实")
    closed = [
        effect for effect in effects(at_countersign(), sent_back) if isinstance(effect, CloseTask)
    ]
    assert closed == [CloseTask(2, Closing.DONE), CloseTask(3, Closing.RETURNED)]


def test_a_return_needs_a_reason_and_a_step_the_case_has_been_through() -> None:
    state = at_issue()
    with pytest.raises(NotAllowed, match="理由"):
        run(state, act(HEAD, "return", "issue", to_step="draft", opinion=" "))
    with pytest.raises(NotAllowed, match="哪一环节"):
        run(state, act(HEAD, "return", "issue", opinion="请改"))
    with pytest.raises(NotAllowed, match="没有经过"):
        run(state, act(HEAD, "return", "issue", to_step="issue", opinion="请改"))
    with pytest.raises(UnknownStep):
        run(state, act(HEAD, "return", "issue", to_step="archive", opinion="请改"))
    skipped = run(begin(urgent=True), act(AUTHOR, "agree", "draft"))
    with pytest.raises(NotAllowed, match="没有经过“会签”"):
        run(skipped, act(HEAD, "return", "issue", to_step="countersign", opinion="请会签"))


def test_what_was_handed_on_can_be_taken_back_until_someone_acts() -> None:
    state = at_countersign()
    outcome = engine.advance(PROCEDURE, state, act(AUTHOR, "withdraw", "countersign"))
    assert (outcome.state.step, outcome.state.path) == ("draft", ())
    assert outcome.effects == (
        CloseTask(2, Closing.WITHDRAWN),
        CloseTask(3, Closing.WITHDRAWN),
        DropDue("countersign", NOW),
        Entered("draft", 1),
        OpenTask(4, "draft", 1, "起草", "test.draft", person("author")),
    )
    for acted in (
        act(LAW, "agree", "countersign"),
        act(LAW, "reassign", "countersign", target=organisation("audit")),
        act(LAW, "add_signer", "countersign", target=person("expert")),
    ):
        with pytest.raises(NotYourTurn, match="已有人办理"):
            run(state, acted, act(AUTHOR, "withdraw", "countersign"))
    with pytest.raises(NotYourTurn):
        run(state, act(HEAD, "withdraw", "countersign"))


def test_taking_back_the_last_countersignature_keeps_those_of_the_others() -> None:
    state = run(at_issue(), act(LAW, "withdraw", "issue"))
    decided = {each.assignee.id: each.decision is not None for each in state.participants}
    assert state.step == "countersign" and decided == {"finance": True, "law": False}
    assert run(state, act(LAW, "agree", "countersign")).step == "issue"


def test_taking_back_a_return_restores_the_countersigning() -> None:
    half = run(at_countersign(), act(LAW, "agree", "countersign"))
    sent_back = act(FINANCE, "return", "countersign", to_step="draft", opinion="看错了")
    state = run(half, sent_back, act(FINANCE, "withdraw", "draft"))
    decided = {each.assignee.id: each.decision is not None for each in state.participants}
    assert state.step == "countersign" and decided == {"finance": False, "law": True}
    assert state.path == ("draft",)


def test_ones_own_agreement_can_be_taken_back_while_the_step_is_open() -> None:
    state = run(at_countersign(), act(LAW, "agree", "countersign"))
    outcome = engine.advance(PROCEDURE, state, act(LAW, "withdraw", "countersign"))
    assert asked(outcome.effects) == ["law"]
    assert not any(each.decision for each in outcome.state.participants)


def test_a_case_cut_short_closes_its_tasks_and_takes_nothing_more() -> None:
    half = run(at_countersign(), act(LAW, "agree", "countersign"))
    outcome = engine.cut_short(PROCEDURE, half, NOW)
    closed = [item for item in outcome.effects if isinstance(item, CloseTask)]
    assert [(item.number, item.why) for item in closed] == [(2, Closing.WITHDRAWN)]
    assert outcome.state.finished
    assert engine.options(PROCEDURE, outcome.state, FINANCE) == engine.Options()
    with pytest.raises(NotAllowed, match="已中止"):
        run(outcome.state, act(FINANCE, "agree", "countersign"))
    assert codec.read_state(codec.write_state(outcome.state), PROCEDURE) == outcome.state


def test_reassigning_moves_the_task_to_the_other() -> None:
    state = at_countersign()
    handed = act(LAW, "reassign", "countersign", target=organisation("audit"))
    outcome = engine.advance(PROCEDURE, state, handed)
    assert outcome.effects[0] == CloseTask(3, Closing.REASSIGNED)
    assert asked(outcome.effects) == ["audit"]
    with pytest.raises(NotYourTurn):
        run(outcome.state, act(LAW, "agree", "countersign"))
    auditor = replace(LAW, organisation="audit")
    agreed = run(outcome.state, act(FINANCE, "agree", "countersign"))
    assert run(agreed, act(auditor, "agree", "countersign")).step == "issue"
    with pytest.raises(NotAllowed, match="已在本环节"):
        run(state, act(LAW, "reassign", "countersign", target=organisation("finance")))
    with pytest.raises(NotAllowed, match="转办给谁"):
        run(state, act(LAW, "reassign", "countersign"))


def test_an_added_signer_must_agree_too() -> None:
    added = act(LAW, "add_signer", "countersign", target=person("expert"))
    state = run(
        at_countersign(),
        added,
        act(LAW, "agree", "countersign"),
        act(FINANCE, "agree", "countersign"),
    )
    assert state.step == "countersign"
    expert = replace(STRANGER, person="expert")
    assert run(state, act(expert, "agree", "countersign")).step == "issue"


def test_an_added_signer_cannot_end_the_case_and_holds_back_who_can() -> None:
    state = run(begin(), act(AUTHOR, "add_signer", "draft", target=person("expert")))
    expert = replace(STRANGER, person="expert")
    with pytest.raises(NotAllowed, match="“起草”环节不能办结"):
        run(state, act(AUTHOR, "agree", "draft"), act(expert, "close", "draft"))
    with pytest.raises(NotAllowed, match="1 个加签没有办理"):
        run(state, act(AUTHOR, "close", "draft"))
    state = run(state, act(expert, "agree", "draft"), act(AUTHOR, "close", "draft"))
    assert state.outcome == "dropped"


@pytest.mark.parametrize(
    ("mode", "agreements"), [("any", 1), ({"at_least": 2}, 2), ({"at_least": 3}, 3), ("all", 4)]
)
def test_the_mode_says_how_many_must_agree(mode: object, agreements: int) -> None:
    value = plain()
    value["steps"][1]["mode"] = mode
    procedure = definition.read(value)
    offices = ["a", "b", "c", "d"]
    state = engine.start(procedure, owner="bureau", data={**DATA, "offices": offices}, at=NOW).state
    state = engine.advance(procedure, state, act(AUTHOR, "agree", "draft")).state
    for count, office in enumerate(offices[:agreements], start=1):
        assert state.step == "countersign"
        clerk = replace(STRANGER, organisation=office)
        outcome = engine.advance(procedure, state, act(clerk, "agree", "countersign"))
        state = outcome.state
        not_needed = [e for e in outcome.effects if e in _closed_unneeded(outcome.effects)]
        assert len(not_needed) == (4 - agreements if count == agreements else 0)
    assert state.step == "issue"


def _closed_unneeded(effects: tuple[Effect, ...]) -> list[Effect]:
    return [e for e in effects if isinstance(e, CloseTask) and e.why is Closing.NOT_NEEDED]


def test_nobody_acts_out_of_turn_twice_or_on_a_step_that_has_passed() -> None:
    state = at_countersign()
    with pytest.raises(NotYourTurn, match="没有待您办理"):
        run(state, act(STRANGER, "agree", "countersign"))
    with pytest.raises(NotYourTurn, match="刷新"):
        run(state, act(AUTHOR, "agree", "draft"))
    with pytest.raises(NotYourTurn):
        run(state, act(LAW, "agree", "countersign"), act(LAW, "agree", "countersign"))
    with pytest.raises(UnknownStep):
        run(state, act(LAW, "agree", "archive"))
    with pytest.raises(NotAllowed, match="“签发”环节不能转办"):
        run(at_issue(), act(HEAD, "reassign", "issue", target=person("x")))


def test_someone_with_two_tasks_says_which_one() -> None:
    added = act(FINANCE, "add_signer", "countersign", target=person("law-clerk"))
    state = run(at_countersign(), added)
    own_first = run(state, act(LAW, "agree", "countersign"))
    assert [each.assignee.id for each in own_first.participants if each.decision] == ["law-clerk"]
    chosen = run(state, act(LAW, "agree", "countersign", task=3))
    assert [each.assignee.id for each in chosen.participants if each.decision] == ["law"]
    with pytest.raises(NotYourTurn):
        run(state, act(LAW, "agree", "countersign", task=2))


def test_a_step_fills_only_its_own_fields_with_values_that_fit() -> None:
    state = run(begin(offices=[]), act(AUTHOR, "agree", "draft", changes={"offices": ["law"]}))
    assert state.data["offices"] == ("law",)
    with pytest.raises(NotAllowed, match="不能修改加急"):
        run(begin(), act(AUTHOR, "agree", "draft", changes={"urgent": True}))
    for wrong in ("law", ["law", "law"], [3], [""]):
        with pytest.raises(WrongData, match="会签单位"):
            run(begin(), act(AUTHOR, "agree", "draft", changes={"offices": wrong}))
    with pytest.raises(WrongData, match="没有这一项"):
        begin(price=3)
    with pytest.raises(TypeError):
        state.data["offices"] = ()  # type: ignore[index]


def test_a_step_that_names_nobody_is_not_entered() -> None:
    with pytest.raises(NotAllowed, match="“会签”需要先填写会签单位"):
        run(begin(offices=[]), act(AUTHOR, "agree", "draft"))
    with pytest.raises(NotAllowed, match="起草人"):
        begin(author=None)


def test_arguments_that_would_be_lost_are_refused() -> None:
    for extra in ({"to_step": "draft"}, {"target": person("x")}):
        with pytest.raises(NotAllowed, match="同意不能带"):
            run(at_countersign(), act(LAW, "agree", "countersign", **extra))


def test_a_case_stays_with_its_version() -> None:
    newer = definition.read({**plain(), "version": 2})
    with pytest.raises(WrongVersion, match="第 1 版"):
        engine.advance(newer, begin(), act(AUTHOR, "agree", "draft"))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone-aware"):
        Action(ActionKind.AGREE, "draft", AUTHOR, datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(ValueError, match="zone-aware"):
        engine.start(PROCEDURE, owner="b", data=DATA, at=datetime(2026, 11, 23))  # noqa: DTZ001


def test_every_refusal_is_said_in_chinese() -> None:
    with pytest.raises(FlowError) as caught:
        run(begin(), act(STRANGER, "agree", "draft"))
    assert str(caught.value) == "“起草”环节没有待您办理的任务"


def test_the_page_is_told_what_it_may_offer() -> None:
    options = engine.options(PROCEDURE, at_issue(), HEAD)
    assert options.actions == {ActionKind.AGREE, ActionKind.RETURN}
    assert options.return_to == ("countersign", "draft")
    assert engine.options(PROCEDURE, at_issue(), LAW).actions == {ActionKind.WITHDRAW}
    assert engine.options(PROCEDURE, at_issue(), STRANGER) == engine.Options()


def test_a_stored_state_does_not_grow_with_the_rounds() -> None:
    def size(state: State) -> int:
        return len(str(codec.write_state(state)))

    state = at_countersign()
    sizes = []
    for _ in range(50):
        sent_back = act(FINANCE, "return", "countersign", to_step="draft", opinion="再改")
        state = run(state, sent_back, act(AUTHOR, "agree", "draft"))
        sizes.append(size(state))
    assert max(sizes) - min(sizes) < 20
