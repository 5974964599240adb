"""The person who carries discs, at a browser: makes one, walks, brings one back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import build
from tests.browser.conftest import SHOTS, Desk
from tests.engines import Engine
from tests.federation.city import City, Site, office_id

CITY, COUNTY = "市府办", "扶沟县"
DUTIES = ["ferry.export", "ferry.import", "ferry.lose", "links.read"]


@pytest.fixture
def city(tmp_path: Path, durable_engine: Engine) -> Iterator[City]:
    """A city whose pages are served, and a county that no line leads to."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    made = City(tmp_path, durable_engine)
    made.site("centre")
    made.site("fugou", "centre", by_ferry=True)
    made.build({"centre": [CITY], "fugou": [COUNTY]})
    centre, fugou = made.sites["centre"], made.sites["fugou"]
    centre.do("by_ferry", node="fugou", title="扶沟县节点")
    centre.do("officer", sign_in_name="carrier", organisation=str(office_id(CITY)), duties=DUTIES)
    for site, to in ((centre, fugou), (fugou, centre)):
        _zhengtong(to, "import", _zhengtong(site, "export", to.name))
    for number in range(3):
        centre.do(
            "send",
            clerk=f"{CITY}办事员",
            leader=f"{CITY}领导",
            to=[str(office_id(COUNTY))],
            title=f"关于第 {number + 1} 次调度",
            attachment="水位 12.3 米",
        )
    centre.start()
    yield made
    made.close()


def _zhengtong(site: Site, act: str, what: str) -> str:
    """Export for a node into a new folder, or import a folder: the folder."""
    folder = what if act == "import" else str(site.folder.parent / f"{site.name}-to-{what}")
    words = ["import", what] if act == "import" else ["export", what, "--to", folder]
    status, _, errors = site.do("zhengtong", words=["ferry", *words])
    assert status == 0, errors
    return folder


def test_a_disc_is_made_carried_and_answered(city: City, chromium: Browser, tmp_path: Path) -> None:
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    desk = Desk(chromium, f"http://127.0.0.1:{centre.port}").sign_in("carrier", build.PASSWORD)
    page = desk.page
    page.get_by_role("link", name="摆渡", exact=True).click()
    expect(page.get_by_text("扶沟县节点").first).to_be_visible()
    desk.shot("ferry-waiting")

    page.get_by_role("button", name="制作").click()
    expect(page.get_by_text("把对方的回盘带回")).to_be_visible(timeout=30_000)
    desk.shot("ferry-made")
    with page.expect_download() as download:
        page.get_by_role("link", name="下载").click()
    disc = tmp_path / "disc"
    disc.mkdir()
    download.value.save_as(disc / download.value.suggested_filename)

    page.get_by_role("link", name="摆渡单").click()
    expect(page.get_by_text("回盘递送人")).to_be_visible()
    desk.shot("ferry-sheet")
    page.emulate_media(media="print")
    desk.shot("ferry-sheet-printed")
    page.emulate_media(media="screen")

    _zhengtong(fugou, "import", str(disc))
    back = Path(_zhengtong(fugou, "export", "centre"))
    newest = max(back.glob("*.ferry"), key=lambda path: path.stat().st_mtime)

    page.goto("/ferry/")
    broken = tmp_path / "broken.ferry"
    broken.write_bytes(newest.read_bytes()[:-1] + b"?")
    page.get_by_label("选择光盘上的卷文件").set_input_files([broken])
    page.get_by_role("button", name="导入").click()
    expect(page.get_by_text("签名与内容不符")).to_be_visible()
    desk.shot("ferry-broken")
    page.get_by_label("选择光盘上的卷文件").set_input_files([newest])
    page.get_by_role("button", name="导入").click()
    expect(page.get_by_text("已导入").nth(1)).to_be_visible(timeout=30_000)
    page.goto("/ferry/")
    expect(page.get_by_text("回执已到").first).to_be_visible()
    desk.shot("ferry-returned")
    assert desk.faults == []
    desk.close()
