"""A procedure as a picture: server-side SVG, steps from top to bottom, the present one marked.

Colours come from `currentColor` and the page's style sheet (classes `flow-…`), so the picture
follows light, dark and high contrast; without a style sheet it is still a readable line drawing.
State is never told by colour alone: a step gone through carries ✓, the present one 当前.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from . import conditions
from .procedure import ActionKind, Procedure, Rule, Step, Transition
from .state import State

# Pixels at natural size; the SVG scales with the width of its place.
_LEFT, _BOX_WIDTH, _BOX_HEIGHT, _GAP = 16, 216, 48, 40
_LANE = 20  # distance between two branch lines running beside the steps
_LABEL_WIDTH = 13  # of one Chinese character at the label size


def svg(procedure: Procedure, state: State | None = None, *, ident: str = "flow") -> str:
    """The picture as one `<svg>` element for use inside a page.

    `state` marks where a case stands. `ident` must be unique in the page: it begins the ids that
    tie the picture to its title and description.
    """
    rows = {step.key: index for index, step in enumerate(procedure.steps)}
    branches = [*_branches(procedure, rows)]
    end_row = len(procedure.steps)
    labels = [_label(procedure, step, transition) for step, _, transition in branches]
    lanes = len(branches)
    longest = max((len(label) for label in labels), default=0)
    width = _LEFT * 2 + _BOX_WIDTH + lanes * _LANE + longest * _LABEL_WIDTH
    height = _top(end_row) + _BOX_HEIGHT + _LEFT
    body = [
        *(_line_down(procedure, row) for row in range(end_row)),
        *(
            _branch(rows[step.key], end, lane, labels[lane - 1])
            for lane, (step, end, _) in enumerate(branches, start=1)
        ),
        *(_box(procedure, step, rows[step.key], state) for step in procedure.steps),
        _end(procedure, end_row, state),
    ]
    return (
        f'<svg class="flow" xmlns="http://www.w3.org/2000/svg" role="img"'
        f" aria-labelledby={quoteattr(f'{ident}-title {ident}-desc')}"
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-size="15" fill="none" stroke="currentColor">'
        f"<title id={quoteattr(f'{ident}-title')}>{escape(procedure.title)}流程图</title>"
        f"<desc id={quoteattr(f'{ident}-desc')}>{escape(describe(procedure, state))}</desc>"
        f"{''.join(body)}</svg>"
    )


def describe(procedure: Procedure, state: State | None = None) -> str:
    """The same picture in words, for those who listen to the page."""
    parts = []
    for number, step in enumerate(procedure.steps, start=1):
        leads = "；".join(_in_words(procedure, step, transition) for transition in step.next)
        mode = f"（{step.mode.title}）" if step.mode.rule is not Rule.ONE else ""
        parts.append(f"{number}. {step.title}{mode}{'：' if leads else ''}{leads}。")
    if state is not None and state.outcome is not None:
        parts.append(f"案件{procedure.ending(state.outcome)}。")
    elif state is not None:
        progress = _progress(state) and f"，{_progress(state)}"
        parts.append(f"现在在“{procedure.step(state.step).title}”{progress}。")
    return " ".join(parts)


def _branches(procedure: Procedure, rows: dict[str, int]) -> Iterator[tuple[Step, int, Transition]]:
    """Transitions that do not simply lead to the next box, as (step, row they reach, transition).

    A last step's unconditional end is the straight line to the end mark, no branch.
    """
    end = len(procedure.steps)
    for row, step in enumerate(procedure.steps):
        for transition in step.next:
            reached = end if transition.to is None else rows[transition.to]
            if reached != row + 1:
                yield step, reached, transition


def _line_down(procedure: Procedure, row: int) -> str:
    """The line to the next box, with its condition; also from a last step that ends by 办结."""
    step = procedure.steps[row]
    last = row == len(procedure.steps) - 1
    following = None if last else procedure.steps[row + 1].key
    straight = [transition for transition in step.next if transition.to == following]
    if not straight and not (last and ActionKind.CLOSE in step.actions):
        return ""
    x, start, end = _LEFT + _BOX_WIDTH // 2, _top(row) + _BOX_HEIGHT, _top(row + 1)
    line = f'<path class="flow-line" d="M{x} {start}V{end}"/>{_arrow(x, end)}'
    if len(straight) == len(step.next):
        return line
    label = _label(procedure, step, straight[0])
    return line + _text(x + 8, (start + end) // 2 + 4, label, "flow-label", size=13)


def _branch(row: int, reached: int, lane: int, label: str) -> str:
    """A line that leaves a box at its right, runs down its own lane and enters another box."""
    edge = _LEFT + _BOX_WIDTH
    x = edge + lane * _LANE
    start, end = _top(row) + _BOX_HEIGHT * 2 // 3, _top(reached) + _BOX_HEIGHT // 3
    head = f'<path class="flow-head" fill="currentColor" d="M{edge} {end}l8 -5v10z"/>'
    line = f'<path class="flow-line" d="M{edge} {start}H{x}V{end}H{edge + 8}"/>'
    text = _text(x + 6, start + 5, label, "flow-label", size=13) if label else ""
    return line + head + text


def _box(procedure: Procedure, step: Step, row: int, state: State | None) -> str:
    here = state is not None and not state.finished and state.step == step.key
    done = state is not None and (
        step.key in state.path or (state.finished and state.step == step.key)
    )
    kind = "current" if here else "done" if done else "ahead"
    mark = "当前" if here else _done_mark(step, state) if done and state else ""
    note = _progress(state) if here and state is not None else ""
    if not note and step.mode.rule is not Rule.ONE:
        note = step.mode.title
    y = _top(row)
    middle = y + (_BOX_HEIGHT // 2 - 2 if note else _BOX_HEIGHT // 2 + 5)
    return (
        f'<g class="flow-step flow-{kind}">'
        f'<rect x="{_LEFT}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="4"'
        f' stroke-width="{3 if here else 1}"/>'
        + _text(_LEFT + 14, middle, step.title, "flow-title", bold=here)
        + (_text(_LEFT + 14, y + 40, note, "flow-note", size=12) if note else "")
        + (_text(_LEFT + _BOX_WIDTH - 14, middle, mark, "flow-mark", end=True) if mark else "")
        + "</g>"
    )


def _done_mark(step: Step, state: State) -> str:
    """✓, or 退回 on the step that returned the case out of the procedure."""
    returned = state.step == step.key and any(
        each.decision is not None and each.decision.kind is ActionKind.RETURN
        for each in state.participants
    )
    return ActionKind.RETURN.word if returned else "✓"


def _end(procedure: Procedure, row: int, state: State | None) -> str:
    x, y = _LEFT + _BOX_WIDTH // 2, _top(row)
    words = "结束"
    if state is not None and state.outcome is not None:
        words = procedure.ending(state.outcome)
    half = max(44, len(words) * 8 + 16)
    return (
        f'<g class="flow-end"><rect x="{x - half}" y="{y}" width="{half * 2}" height="32" rx="16"/>'
        f'<text x="{x}" y="{y + 21}" text-anchor="middle" fill="currentColor" stroke="none">'
        f"{escape(words)}</text></g>"
    )


def _progress(state: State) -> str:
    """How many have decided, when several are asked: 已办 2/3."""
    if len(state.participants) < 2:
        return ""
    decided = sum(each.decision is not None for each in state.participants)
    return f"已办 {decided}/{len(state.participants)}"


def _label(procedure: Procedure, step: Step, transition: Transition) -> str:
    """When this way is taken: its condition, or 否则 after others had theirs."""
    if transition.when is not None:
        return conditions.describe(transition.when, procedure.fields)
    return "否则" if len(step.next) > 1 else ""


def _in_words(procedure: Procedure, step: Step, transition: Transition) -> str:
    if transition.to is not None:
        target = f"到{procedure.step(transition.to).title}"
    else:
        target = f"结束，{procedure.outcomes[transition.finish or '']}"
    when = f"{_label(procedure, step, transition)}{'时' if transition.when else ''}"
    return f"{when}{target}"


def _top(row: int) -> int:
    return _LEFT + row * (_BOX_HEIGHT + _GAP)


def _arrow(x: int, y: int) -> str:
    return f'<path class="flow-head" fill="currentColor" d="M{x} {y}l-5 -8h10z"/>'


def _text(
    x: int, y: int, words: str, name: str, *, size: int = 15, bold: bool = False, end: bool = False
) -> str:
    anchor = ' text-anchor="end"' if end else ""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text class="{name}" x="{x}" y="{y}" font-size="{size}"{anchor}{weight}'
        f' fill="currentColor" stroke="none">{escape(words)}</text>'
    )
