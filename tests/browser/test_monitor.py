"""The node page in a real browser, at a desk and on a phone: legible, whole, usable by keyboard."""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from tests.browser.conftest import DemoCity, Desk


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def test_the_network_administrator_sees_the_links_and_every_letter(
    demo: DemoCity, chromium: Browser
) -> None:
    desk = Desk(chromium, demo.urls["zhoukou"]).sign_in("zhoukou-keeper", demo.password)
    page = desk.page
    page.get_by_role("link", name="节点监控").click()
    page.wait_for_url("**/links/")
    page.wait_for_load_state("load")  # until then no key does anything
    picture = page.locator(".topology svg")
    assert picture.is_visible() and picture.locator(".place").count() == 5
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.id")
    assert focused.startswith("to-"), "j moves through the table"
    page.evaluate("document.getElementById('links').classList.add('old')")
    page.wait_for_selector("#links:not(.old)", timeout=40_000)  # the page renews itself
    assert page.evaluate("document.activeElement.id") == focused, (
        "and leaves the focus where it was"
    )
    desk.shot("monitor")
    assert overflow(page) == 0

    page.locator(".topology a", has_text="沈丘县").click()
    page.get_by_role("heading", name="沈丘县节点").wait_for()
    assert page.get_by_text("从未联系").or_(page.get_by_text("还没有联系过")).count() >= 1
    desk.shot("monitor-link")
    page.get_by_role("link", name="收发日志").click()
    page.goto("/links/log/?state=delivered")
    page.locator("[data-row] [data-open]").first.click()
    page.get_by_role("heading", name="全部经过").wait_for()
    letter = page.url
    way = page.get_by_role("table", name="信件经过的节点")
    assert way.get_by_text("核验通过").count() == 1
    desk.shot("monitor-letter")
    page.goto("/links/log/")
    page.get_by_text("查找与筛选").click()
    page.get_by_label("方向").select_option("发出")
    page.get_by_role("button", name="查询").click()
    assert page.locator("[data-row]").count() > 5
    desk.shot("monitor-log")
    with page.expect_download() as download:
        page.get_by_role("link", name="导出表格").click()
    assert download.value.suggested_filename.endswith(".csv")

    page.set_viewport_size({"width": 375, "height": 812})
    for path in ("/links/", "/links/fugou/", "/links/log/", letter, "/"):
        page.goto(path)
        assert overflow(page) == 0, path
    page.goto("/links/")
    assert not page.locator(".topology").is_visible(), "on a phone the list stands for the picture"
    assert page.locator("table.links [data-row]").count() == 4
    assert desk.faults == []


def test_the_columns_of_the_portal_take_one_row_of_a_phone(
    demo: DemoCity, chromium: Browser
) -> None:
    phone = Desk(chromium, demo.urls["zhoukou-portal"], "phone")
    phone.page.goto("/")
    bar = phone.page.locator(".columns")
    height = bar.bounding_box()
    assert height and height["height"] < 60
    last = bar.locator("a").last
    last.focus()
    place = last.bounding_box()
    assert place and 0 <= place["x"] <= 375 - place["width"], "whoever tabs along it sees where"
    assert overflow(phone.page) == 0
