"""A procedure that is wrong is refused, and the message says where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhengtong.kernel.flow import definition
from zhengtong.kernel.flow.errors import DefinitionError, UnknownStep

from .cases import PLAIN, PROCEDURE, plain

Spoil = Callable[[dict[str, Any]], Any]


def put(*path: str | int, value: Any) -> Spoil:
    """A spoiler that sets the value at a path of the JSON."""

    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return spoil


def drop(*path: str | int) -> Spoil:
    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        del found[path[-1]]

    return spoil


STEP = ("steps", 1)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (drop("title"), "流程"),
        (put("surprise", value=1), "流程.surprise"),
        (put("key", value="plain"), "key"),
        (put("version", value=True), "version"),
        (put("version", value=0), "version"),
        (put("title", value=" "), "title"),
        (put("title", value="两\n行"), "title"),
        (put("steps", value=[]), "steps"),
        (put("fields", "offices", "type", value="list"), "fields.offices.type"),
        (put("fields", "会签", value={"type": "text", "title": "会签"}), "fields.会签"),
        (put("outcomes", "forgotten", value="没用到"), "outcomes.forgotten"),
        (put(*STEP, "key", value="draft"), "steps"),
        (put(*STEP, "key", value="Draft"), "steps[1].key"),
        (put(*STEP, "who", value={"duty": "test.x"}), "steps[1].who"),
        (put(*STEP, "who", "duty", value="x"), "steps[1].who.duty"),
        (put(*STEP, "who", "organisation", value="everyone"), "steps[1].who.organisation"),
        (put(*STEP, "who", "organisation", value=3), "steps[1].who.organisation"),
        (put(*STEP, "who", "organisation", value="each:nobody"), "steps[1].who.organisation"),
        (put(*STEP, "who", "organisation", value="each:author"), "steps[1].who.organisation"),
        (put("steps", 0, "who", "person", value="owner"), "steps[0].who.person"),
        (put(*STEP, "mode", value="most"), "steps[1].mode"),
        (put(*STEP, "mode", value="one"), "steps[1].mode"),
        (put("steps", 0, "mode", value="all"), "steps[0].mode"),
        (put(*STEP, "mode", value={"at_least": 0}), "steps[1].mode.at_least"),
        (put(*STEP, "actions", value=["agree", "approve"]), "steps[1].actions[1]"),
        (put(*STEP, "actions", value=["agree", "agree"]), "steps[1].actions"),
        (put(*STEP, "actions", value=["return"]), "steps[1].actions"),
        (put(*STEP, "actions", value=["agree", "close"]), "steps[1].actions"),
        (put(*STEP, "ends", value={"agree": "issued"}), "steps[1].ends.agree"),
        (put(*STEP, "ends", value={"return": "lost"}), "steps[1].ends.return"),
        (put(*STEP, "words", value={"close": "办完"}), "steps[1].words.close"),
        (put(*STEP, "sets", value=["price"]), "steps[1].sets[0]"),
        (put(*STEP, "due", value="soon"), "steps[1].due"),
        (put(*STEP, "next", value=[]), "steps[1].next"),
        (put(*STEP, "next", 0, value={}), "steps[1].next[0]"),
        (put(*STEP, "next", 0, value={"to": "nowhere"}), "steps[1].next[0].to"),
        (put(*STEP, "next", 0, value={"to": "draft"}), "steps[1].next[0].to"),
        (put(*STEP, "next", 0, value={"to": "countersign"}), "steps[1].next[0].to"),
        (put(*STEP, "next", 0, value={"finish": "lost"}), "steps[1].next[0].finish"),
        (put(*STEP, "next", 0, "when", value={"exists": "urgent"}), "steps[1].next[0]"),
        (drop("steps", 0, "next", 0, "when"), "steps[0].next[0]"),
        (drop("steps", 0, "next", 0), "steps[1]"),
        (drop("steps", 0, "ends"), "steps[0].ends"),
        (
            put("steps", 0, "next", 0, "when", "not", value={"eq": ["urgent", "yes"]}),
            "steps[0].next[0].when.not.eq[1]",
        ),
    ],
)
def test_a_mistake_is_refused_at_its_place(spoil: Spoil, place: str) -> None:
    value = plain()
    spoil(value)
    with pytest.raises(DefinitionError) as caught:
        definition.read(value)
    assert caught.value.place == place
    assert any("一" <= character <= "鿿" for character in caught.value.problem)


@pytest.mark.parametrize("value", [None, [], 3, "流程", {1: 2}])
def test_what_is_no_procedure_at_all_is_refused(value: Any) -> None:
    with pytest.raises(DefinitionError):
        definition.read(value)


def test_a_procedure_survives_json() -> None:
    assert definition.write(PROCEDURE) == PLAIN
    assert definition.read(definition.write(PROCEDURE)) == PROCEDURE


def test_an_unknown_step_is_named() -> None:
    with pytest.raises(UnknownStep, match="archive"):
        PROCEDURE.step("archive")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "第 1 行"),
        ('{"key": 1, "key": 2}', "写了两次"),
        ("[" * 100_000, "嵌套过深"),
    ],
)
def test_a_file_that_is_not_clean_json_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match=words) as caught:
        definition.load(path)
    assert caught.value.place == "bad.json"
