"""The laws of the engine, on random procedures under random hands."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from zhengtong.kernel.flow import codec, definition, diagram, engine
from zhengtong.kernel.flow.errors import FlowError
from zhengtong.kernel.flow.procedure import ActionKind, Assignee, AssigneeKind, Procedure
from zhengtong.kernel.flow.state import (
    Action,
    Actor,
    CloseTask,
    Effect,
    Finished,
    OpenTask,
    State,
)

from .cases import NOW

ACTORS = [Actor(f"p{n}", f"o{n % 3}") for n in range(5)]
TARGETS = [Assignee(AssigneeKind.PERSON, f"p{n}") for n in range(5)] + [
    Assignee(AssigneeKind.ORGANISATION, f"o{n}") for n in range(3)
]
FIELDS = {
    "chief": {"type": "person", "title": "负责人"},
    "people": {"type": "people", "title": "传阅人员"},
    "offices": {"type": "organisations", "title": "会签单位"},
    "urgent": {"type": "flag", "title": "加急"},
    "amount": {"type": "number", "title": "金额"},
}
CONDITIONS = st.sampled_from(
    [
        {"eq": ["urgent", True]},
        {"not": {"exists": "amount"}},
        {"and": [{"gt": ["amount", 1]}, {"exists": "offices"}]},
    ]
)


@st.composite
def procedures(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid procedure of up to five steps, as JSON."""
    length = draw(st.integers(1, 5))
    steps = []
    for index in range(length):
        several = draw(st.booleans())
        selectors = (
            [{"person": "each:people"}, {"organisation": "each:offices"}]
            if several
            else [{"organisation": "owner"}, {"person": "field:chief"}]
        )
        modes: list[Any] = ["all", "any", {"at_least": 2}] if several else ["one"]
        extra = draw(st.sets(st.sampled_from(["return", "withdraw", "reassign", "add_signer"])))
        main = (
            ["agree"]
            if several
            else draw(st.sampled_from([["agree"], ["close"], ["agree", "close"]]))
        )
        # A step that can only be closed leads nowhere, so all but the last must lead on.
        if index < length - 1 and "agree" not in main:
            main = ["agree", "close"]
        ends = {"close": "closed"} if "close" in main else {}
        if "return" in extra and draw(st.booleans()):
            ends["return"] = "returned"
        steps.append(
            {
                "key": f"s{index}",
                "title": f"环节{index}",
                "who": {"duty": f"test.s{index}", **draw(st.sampled_from(selectors))},
                "mode": draw(st.sampled_from(modes)),
                "actions": [*main, *sorted(extra)],
                "ends": ends,
                "sets": draw(st.sampled_from([[], ["urgent"], ["amount", "urgent"]])),
                "next": _ways(draw, index, length) if "agree" in main else [],
                **({"due": "test.limit"} if draw(st.booleans()) else {}),
            }
        )
    used = {outcome for step in steps for outcome in step["ends"].values()}
    used |= {way["finish"] for step in steps for way in step["next"] if "finish" in way}
    return {
        "key": "test.random",
        "version": 1,
        "title": "随机流程",
        "fields": FIELDS,
        "outcomes": {outcome: f"结果{outcome}" for outcome in sorted(used)},
        "steps": steps,
    }


def _ways(draw: st.DrawFn, index: int, length: int) -> list[dict[str, Any]]:
    ways = []
    for _ in range(draw(st.integers(0, 2))):
        later = draw(st.integers(index + 1, length))
        target = {"to": f"s{later}"} if later < length else {"finish": "done"}
        ways.append({"when": draw(CONDITIONS), **target})
    last = {"to": f"s{index + 1}"} if index + 1 < length else {"finish": "done"}
    return [*ways, last]


class Case(RuleBasedStateMachine):
    procedure: Procedure
    state: State
    effects: list[Effect]
    log: list[Action]
    data: dict[str, Any]

    @initialize(
        value=procedures(),
        people=st.lists(st.sampled_from([a.person for a in ACTORS]), min_size=2, unique=True),
        offices=st.lists(st.sampled_from(["o0", "o1", "o2"]), min_size=2, unique=True),
        urgent=st.booleans(),
        amount=st.none() | st.integers(0, 3),
    )
    def begin(self, value: dict[str, Any], people: list[str], **more: Any) -> None:
        self.procedure = definition.read(value)
        assert definition.read(json.loads(json.dumps(definition.write(self.procedure)))) == (
            self.procedure
        )
        self.data = {"chief": "p0", "people": people, **more}
        outcome = engine.start(self.procedure, owner="o0", data=self.data, at=NOW)
        self.state, self.effects, self.log = outcome.state, list(outcome.effects), []

    def _action(self, **parts: Any) -> Action:
        return Action(at=NOW + timedelta(minutes=len(self.log)), **parts)

    def _try(self, action: Action) -> bool:
        try:
            outcome = engine.advance(self.procedure, self.state, action)
        except FlowError as error:
            assert str(error)
            return False
        self.state = outcome.state
        self.effects += outcome.effects
        self.log.append(action)
        return True

    @rule(
        kind=st.sampled_from(ActionKind),
        actor=st.sampled_from(ACTORS),
        whom=st.sampled_from(TARGETS),
        to_step=st.none() | st.sampled_from([f"s{n}" for n in range(6)]),
        changes=st.sampled_from([{}, {}, {"urgent": True}, {"amount": 3}, {"amount": "many"}]),
        late=st.sampled_from([False, False, False, True]),
    )
    def anyone_does_anything(
        self,
        kind: ActionKind,
        actor: Actor,
        whom: Assignee,
        to_step: str | None,
        changes: dict[str, Any],
        late: bool,
    ) -> None:
        self._try(
            self._action(
                kind=kind,
                step="s0" if late else self.state.step,
                actor=actor,
                opinion="意见",
                target=whom if kind in (ActionKind.REASSIGN, ActionKind.ADD_SIGNER) else None,
                to_step=to_step if kind is ActionKind.RETURN else None,
                changes=changes if kind in (ActionKind.AGREE, ActionKind.CLOSE) else {},
            )
        )

    @rule(actor=st.sampled_from(ACTORS), data=st.data())
    def someone_does_what_the_page_offers(self, actor: Actor, data: st.DataObject) -> None:
        """Whatever `options` offers is accepted, whatever it does not offer is refused."""
        offered = engine.options(self.procedure, self.state, actor)
        # What is offered stands twice, so that the case moves more often than it refuses.
        kind = data.draw(st.sampled_from([*sorted(offered.actions), *ActionKind]))
        free = [t for t in TARGETS if t not in {p.assignee for p in self.state.participants}]
        target = None
        if kind in (ActionKind.REASSIGN, ActionKind.ADD_SIGNER):
            if not free:
                return
            target = data.draw(st.sampled_from(free))
        to_step = None
        if kind is ActionKind.RETURN:
            choices = [*offered.return_to, *([None] if offered.return_ends else [])]
            to_step = data.draw(st.sampled_from(choices)) if choices else None
        action = self._action(
            kind=kind,
            step=self.state.step,
            actor=actor,
            opinion="意见",
            target=target,
            to_step=to_step,
        )
        assert self._try(action) == (kind in offered.actions)

    @precondition(lambda self: not self.state.finished)
    @rule()
    def agreeing_always_reaches_the_end(self) -> None:
        """From anywhere, whoever is asked agreeing (or closing) ends the case; it is not kept."""
        state = self.state
        for _ in range(len(self.procedure.steps) * (len(TARGETS) + 1)):
            if state.finished:
                return
            step = self.procedure.step(state.step)
            waiting = [each for each in state.participants if each.task is not None]
            mine = next((each for each in waiting if each.added), waiting[0])
            agree = mine.added or ActionKind.AGREE in step.actions
            action = self._action(
                kind=ActionKind.AGREE if agree else ActionKind.CLOSE,
                step=step.key,
                actor=Actor(
                    mine.assignee.id if mine.assignee.kind is AssigneeKind.PERSON else "anyone",
                    mine.assignee.id if mine.assignee.kind is not AssigneeKind.PERSON else "any",
                ),
                task=mine.task,
            )
            state = engine.advance(self.procedure, state, action).state
        raise AssertionError("agreeing led in circles")

    @precondition(lambda self: self.state.finished)
    @rule(kind=st.sampled_from(ActionKind), actor=st.sampled_from(ACTORS))
    def a_finished_case_accepts_nothing(self, kind: ActionKind, actor: Actor) -> None:
        action = self._action(kind=kind, step=self.state.step, actor=actor, opinion="意见")
        assert not self._try(action)
        assert self.effects[-1] == Finished(self.state.outcome or "", self.log[-1].at)

    @invariant()
    def the_step_is_known_and_the_path_leads_to_it(self) -> None:
        order = [step.key for step in self.procedure.steps]
        places = [order.index(key) for key in (*self.state.path, self.state.step)]
        assert places == sorted(set(places))

    @invariant()
    def open_tasks_are_exactly_the_open_participants(self) -> None:
        opened = [effect for effect in self.effects if isinstance(effect, OpenTask)]
        closed = [effect.number for effect in self.effects if isinstance(effect, CloseTask)]
        numbers = [effect.number for effect in opened]
        assert len(set(numbers)) == len(numbers) and len(set(closed)) == len(closed)
        assert set(closed) <= set(numbers)
        still_open = {
            (effect.number, effect.assignee) for effect in opened if effect.number not in closed
        }
        participants = self.state.participants
        assert still_open == {(p.task, p.assignee) for p in participants if p.task is not None}
        assert bool(still_open) != self.state.finished, "a running case always waits for someone"

    @invariant()
    def the_log_and_the_stored_state_both_give_the_state_back(self) -> None:
        log = [codec.read_action(_through_text(codec.write_action(each))) for each in self.log]
        replayed = engine.replay(self.procedure, owner="o0", data=self.data, at=NOW, actions=log)
        assert replayed == self.state
        stored = _through_text(codec.write_state(self.state))
        assert codec.read_state(stored, self.procedure) == self.state

    def teardown(self) -> None:
        if hasattr(self, "state"):
            assert diagram.svg(self.procedure, self.state).count("<g ") == (
                len(self.procedure.steps) + 1
            )


def _through_text(value: dict[str, Any]) -> Any:
    return json.loads(json.dumps(value, ensure_ascii=False))


TestCase = Case.TestCase
TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
