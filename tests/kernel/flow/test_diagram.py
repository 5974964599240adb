"""The picture of a procedure is well-formed, says where the case stands, and hides nothing."""

from xml.etree import ElementTree

from zhengtong.kernel.flow import definition, diagram, engine
from zhengtong.kernel.flow.state import State

from .cases import AUTHOR, DATA, FINANCE, HEAD, LAW, NOW, PROCEDURE, act, plain

SVG = "{http://www.w3.org/2000/svg}"


def run(*actions: tuple[object, ...]) -> State:
    state = engine.start(PROCEDURE, owner="bureau", data=DATA, at=NOW).state
    for actor, kind, step in actions:
        state = engine.advance(PROCEDURE, state, act(actor, kind, step)).state  # type: ignore[arg-type]
    return state


def boxes(picture: str) -> dict[str, list[str]]:
    """Class of each step's group → its texts."""
    root = ElementTree.fromstring(picture)
    return {
        (group.get("class") or "") + "/" + (group.findtext(f"{SVG}text") or ""): [
            text.text or "" for text in group.findall(f"{SVG}text")
        ]
        for group in root.findall(f"{SVG}g")
    }


HALF = run((AUTHOR, "agree", "draft"), (LAW, "agree", "countersign"))


def test_the_present_step_is_marked_by_words_and_class() -> None:
    assert boxes(diagram.svg(PROCEDURE, HALF)) == {
        "flow-step flow-done/起草": ["起草", "✓"],
        "flow-step flow-current/会签": ["会签", "已办 1/2", "当前"],
        "flow-step flow-ahead/签发": ["签发"],
        "flow-end/结束": ["结束"],
    }


def test_a_finished_case_shows_its_outcome() -> None:
    state = run(
        (AUTHOR, "agree", "draft"),
        (LAW, "agree", "countersign"),
        (FINANCE, "agree", "countersign"),
        (HEAD, "agree", "issue"),
    )
    found = boxes(diagram.svg(PROCEDURE, state))
    assert "flow-end/已签发" in found and "flow-step flow-done/签发" in found


def test_the_picture_is_tied_to_a_title_and_a_description() -> None:
    root = ElementTree.fromstring(diagram.svg(PROCEDURE, HALF, ident="case-7"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "case-7-title case-7-desc"
    assert root.find(f"{SVG}title[@id='case-7-title']") is not None
    assert root.findtext(f"{SVG}desc") == (
        "1. 起草：并非（加急为是）时到会签；否则到签发。 2. 会签（全部办理）：到签发。"
        " 3. 签发：结束，已签发。 现在在“会签”，已办 1/2。"
    )


def test_titles_are_text_and_never_markup() -> None:
    value = plain()
    value["title"] = '<script>"&'
    value["steps"][0]["title"] = "</text><script>"
    picture = diagram.svg(definition.read(value), ident='x"><script>')
    assert "<script>" not in picture
    assert ElementTree.fromstring(picture).findtext(f"{SVG}title") == '<script>"&流程图'


def test_it_fits_a_strict_content_security_policy() -> None:
    picture = diagram.svg(PROCEDURE, HALF)
    assert "style" not in picture and "script" not in picture and "href" not in picture


def test_everything_is_drawn_inside_the_picture() -> None:
    root = ElementTree.fromstring(diagram.svg(PROCEDURE, HALF))
    width, height = (float(part) for part in (root.get("viewBox") or "").split()[2:])
    for text in root.iter(f"{SVG}text"):
        size = float(text.get("font-size") or 15)
        left, length = float(text.get("x") or 0), len(text.text or "") * size
        if text.get("text-anchor") is None:
            assert left + length <= width, text.text
        assert 0 < float(text.get("y") or 0) < height
    for box in root.iter(f"{SVG}rect"):
        assert float(box.get("y") or 0) + float(box.get("height") or 0) <= height
