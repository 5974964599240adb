"""One document: province → city → eighteen units → a citizen's phone, and the proof of it all.

The steps are numbered as a newcomer would tell them. They build on one another, so they are one
test; every step asserts what its person sees.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DemoCity, Desk
from tests.federation.city import ROOT
from zhengtong.demo import attachments
from zhengtong.kernel import moment

MARKER = "此句只在内部流转七三四一"
PROVINCE_TITLE = "关于切实做好主汛期防汛工作的通知"
CITY_TITLE = "关于切实做好全市主汛期防汛准备的通知"
SECRET_TITLE = "关于防汛物资内部调拨的通知"
YEAR = moment.today().year


def _compose(
    page: Page,
    *,
    title: str,
    body: str,
    level: str,
    units: list[str] | None,
    files: list[Path] | None = None,
    countersigner: str = "",
) -> None:
    """Fill in the form of a new document and hand it to review. `units` None: everyone below."""
    page.get_by_label("文种").select_option(label="通知")
    page.get_by_label("标题").fill(title)
    page.get_by_label("正文").fill(body)
    page.get_by_label("密级").select_option(label=level)
    page.get_by_role("radio", name="加急").check()
    addressees = page.get_by_role("group", name="主送")
    if units is None:
        for group in ("全部县级单位", "全部市直部门"):
            addressees.get_by_role("checkbox", name=re.compile(group)).check()
    else:
        for unit in units:
            addressees.get_by_role("checkbox", name=unit, exact=True).check()
    if countersigner:
        page.locator("summary", has_text="会签单位").click()
        box = page.get_by_role("group", name="会签单位")
        box.get_by_role("checkbox", name=countersigner, exact=True).check()
    page.get_by_label("办理时限").fill((moment.today() + timedelta(days=7)).isoformat())
    if files:
        page.get_by_label("附件").set_input_files(files)
    page.get_by_role("button", name="保存并送核稿").click()


def _open(page: Page, title: str) -> None:
    """Go to the to-do list and open the document with this title, once it is there."""
    for _ in range(60):
        page.goto("/")
        link = page.get_by_role("link", name=title).first
        if link.count():
            link.click()
            return
        page.goto("/?tab=reading")
        link = page.get_by_role("link", name=title).first
        if link.count():
            link.click()
            return
        time.sleep(0.5)
    raise AssertionError(f"“{title}” never came")


def _decide(page: Page, word: str, opinion: str = "") -> None:
    if opinion:
        page.get_by_label(re.compile("^(批示)?意见")).first.fill(opinion)
    page.get_by_role("button", name=word, exact=True).click()


def _reload_until(page: Page, text: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while text not in page.inner_text("body"):
        assert time.monotonic() < deadline, f"“{text}” did not appear on {page.url}"
        time.sleep(0.5)
        page.reload()


def _dispatch(page: Page) -> None:
    page.get_by_text("发送公文").click()
    page.get_by_role("button", name="确认发送").click()


def test_the_first_road(demo: DemoCity, chromium: Browser, tmp_path: Path) -> None:
    pdf, xlsx = tmp_path / attachments.PLAN_NAME, tmp_path / attachments.STORES_NAME
    pdf.write_bytes(attachments.plan_pdf(timestamp=datetime(2026, 6, 1, tzinfo=UTC)))
    xlsx.write_bytes(attachments.stores_xlsx())

    def desk(node: str, name: str) -> Desk:
        return Desk(chromium, demo.urls[node]).sign_in(name, demo.password)

    # 1. The sign-in page, then a wrong password: plain words, nothing lost.
    stranger = Desk(chromium, demo.urls["zhoukou"])
    stranger.page.goto("/documents/outgoing/")
    expect(stranger.page).to_have_url(re.compile("/sign-in"))
    stranger.page.get_by_label("用户名").fill("zhoukou-clerk")
    stranger.page.get_by_label("口令").fill("不对的口令")
    stranger.page.get_by_role("button", name="登录").click()
    expect(stranger.page.locator("body")).to_contain_text("用户名或密码不正确")
    stranger.shot("01-sign-in")
    stranger.close()

    # 2. A province clerk drafts; absurd values come back with the text kept.
    clerk = desk("henan", "henan-clerk")
    clerk.page.goto("/documents/new")
    clerk.page.get_by_label("文种").select_option(label="通知")
    clerk.page.get_by_label("正文").fill("正文还在。")
    clerk.page.get_by_role("button", name="保存并送核稿").click()
    expect(clerk.page.locator("body")).to_contain_text("请填写标题")
    expect(clerk.page.get_by_label("正文")).to_have_value("正文还在。")
    clerk.shot("02-draft-errors")
    _compose(
        clerk.page,
        title=PROVINCE_TITLE,
        body="各省辖市人民政府：\n一、压实责任。\n二、备足物资。\n特此通知。",
        level="公开",
        units=["市政府办公室"],
        files=[pdf, xlsx],
    )
    expect(clerk.page.locator("body")).to_contain_text("核稿")
    clerk.shot("03-draft")

    # 3. A leader reviews and issues; it gets its number and its red head.
    leader = desk("henan", "henan-leader")
    _open(leader.page, PROVINCE_TITLE)
    _decide(leader.page, "核稿通过")
    _open(leader.page, PROVINCE_TITLE)
    _decide(leader.page, "签发", "同意签发。")
    expect(leader.page.locator("body")).to_contain_text(f"豫政办〔{YEAR}〕2号")
    leader.shot("04-issued")
    clerk.page.goto("/documents/outgoing/")
    clerk.page.get_by_role("link", name=PROVINCE_TITLE).first.click()
    _reload_until(clerk.page, "查看红头文件")
    _dispatch(clerk.page)
    expect(clerk.page.locator("body")).to_contain_text("已发送")

    # 4. At the city: 待签收, signed for, registered, instructed, circulated, closed.
    registry = desk("zhoukou", "zhoukou-clerk")
    _open(registry.page, PROVINCE_TITLE)
    registry.shot("05-incoming")
    registry.page.get_by_role("button", name="签收", exact=True).click()
    registry.page.get_by_role("button", name="登记并编号").click()
    expect(registry.page.locator("body")).to_contain_text(f"收〔{YEAR}〕1号")
    mayor = desk("zhoukou", "zhoukou-leader")
    mayor.shot("06-todo")
    _open(mayor.page, PROVINCE_TITLE)
    readers = mayor.page.get_by_role("group", name="传阅人员")
    readers.get_by_role("checkbox").first.check()
    _decide(mayor.page, "批示", "请迅速传达到各县区和部门。")
    expect(mayor.page.locator("body")).to_contain_text("请迅速传达到各县区和部门")
    mayor.shot("07-instructed")

    # 5. The city passes it on: review, countersign, issue, dispatch to all eighteen.
    registry.page.goto("/documents/new")
    _compose(
        registry.page,
        title=CITY_TITLE,
        body=(
            "各县（市、区）人民政府，市直有关部门：\n一、提高认识。防汛责任落实到人。\n"
            "二、排查隐患。水库、河道、涵闸逐一检查。\n特此通知。"
        ),
        level="公开",
        units=None,
        files=[pdf, xlsx],
        countersigner="市水利局",
    )
    reviewer = desk("zhoukou", "zhoukou-reviewer")
    _open(reviewer.page, CITY_TITLE)
    reviewer.shot("08-review")
    _decide(reviewer.page, "核稿通过")
    water = desk("zhoukou", "shuili-leader")
    _open(water.page, CITY_TITLE)
    _decide(water.page, "会签同意", "无不同意见。")
    _open(mayor.page, CITY_TITLE)
    _decide(mayor.page, "签发", "发。")
    expect(mayor.page.locator("body")).to_contain_text(f"周政办〔{YEAR}〕6号")
    registry.page.goto("/documents/outgoing/")
    registry.page.get_by_role("link", name=CITY_TITLE).first.click()
    _reload_until(registry.page, "查看红头文件")
    document_url = registry.page.url
    _dispatch(registry.page)
    expect(registry.page.locator("table.matrix tbody tr")).to_have_count(18)

    # 6. One county signs for it, a department returns it, one county is off; the matrix is live.
    county = desk("fugou", "fugou-clerk")
    _open(county.page, CITY_TITLE)
    county.page.get_by_role("button", name="签收", exact=True).click()
    matrix = registry.page.locator("table.matrix")
    fugou = matrix.locator("tr", has_text="扶沟县")
    expect(fugou).to_contain_text("已签收", timeout=20_000)  # without reloading the page
    finance = desk("zhoukou", "caizheng-clerk")
    _open(finance.page, CITY_TITLE)
    finance.page.get_by_text("退回来文机关").click()
    finance.page.get_by_label("退回理由").fill("附件表格与正文数字不一致，请核对后重发。")
    finance.page.get_by_role("button", name="确认退回").click()
    expect(matrix).to_contain_text("附件表格与正文数字不一致", timeout=20_000)
    expect(matrix.locator("tr", has_text="沈丘县")).to_contain_text("发送中")
    registry.page.get_by_role("button", name=re.compile("催办全部")).click()
    expect(matrix.locator("tr", has_text="扶沟县")).to_contain_text("1 次")
    registry.shot("09-matrix")

    # 7. The county that was off catches up when it starts.
    started = demo.start_node("shenqiu")
    try:
        late = desk("shenqiu", "shenqiu-clerk")
        _open(late.page, CITY_TITLE)
        _reload_until(late.page, "已催办 1 次")
        late.page.get_by_role("button", name="签收", exact=True).click()
        shenqiu = matrix.locator("tr", has_text="沈丘县")
        expect(shenqiu).to_contain_text("已签收", timeout=30_000)
        late.shot("10-caught-up")
        late.close()
    finally:
        started.terminate()
        started.wait(20)

    # 8. An internal document goes to the counties and never near the portal.
    registry.page.goto("/documents/new")
    _compose(
        registry.page,
        title=SECRET_TITLE,
        body=f"各有关单位：\n{MARKER}。\n特此通知。",
        level="内部",
        units=["扶沟县"],
    )
    _open(reviewer.page, SECRET_TITLE)
    _decide(reviewer.page, "核稿通过")
    _open(mayor.page, SECRET_TITLE)
    _decide(mayor.page, "签发", "发。")
    registry.page.goto("/documents/outgoing/")
    registry.page.get_by_role("link", name=SECRET_TITLE).first.click()
    _reload_until(registry.page, "查看红头文件")
    _dispatch(registry.page)
    _open(county.page, SECRET_TITLE)
    expect(county.page.locator("body")).to_contain_text(MARKER)

    # 9. The city publishes its notice: offered, checked, released, baked.
    registry.page.goto(document_url)
    registry.page.get_by_role("button", name="送公开审查").click()
    release = desk("zhoukou", "zhoukou-release")
    _open(release.page, CITY_TITLE)
    release.shot("11-release")
    release.page.get_by_label(re.compile("栏目")).select_option(label="通知公告")
    release.page.get_by_role("button", name="同意公开").click()
    _reload_until(release.page, "已上网", 60)
    release.shot("12-online")

    # 10. A citizen on a phone searches two characters, finds it, reads it, takes the attachment.
    citizen = Desk(chromium, demo.urls["zhoukou-portal"], "phone")
    citizen.page.goto("/")
    citizen.shot("13-portal-home")
    box = citizen.page.get_by_role("searchbox").first
    box.fill("涵闸")
    box.press("Enter")
    citizen.shot("14-portal-search")
    citizen.page.get_by_role("link", name=re.compile("主汛期防汛准备")).first.click()
    expect(citizen.page.locator("body")).to_contain_text("排查隐患")
    expect(citizen.page.locator("body")).to_contain_text("演示站点，内容为虚构")
    citizen.shot("15-portal-article")
    article_url = citizen.page.url
    with citizen.page.expect_download() as download:
        citizen.page.get_by_role("link", name=re.compile(re.escape(xlsx.name))).first.click()
    assert Path(download.value.path()).read_bytes() == xlsx.read_bytes()
    wide = Desk(chromium, demo.urls["zhoukou-portal"])
    for name, path in (("16-portal-home", "/"), ("17-portal-article", article_url)):
        wide.page.goto(path)
        wide.shot(name)
    wide.close()
    assert _holders(demo.folder / "zhoukou-portal", MARKER) == []
    assert _holders(demo.folder / "zhoukou-portal", SECRET_TITLE) == []

    # 11. Withdrawn, it is gone from the portal within seconds.
    release.page.locator("summary", has_text="从网上撤下").click()
    release.page.get_by_label("理由").fill("内容需要核对。")
    release.page.get_by_role("button", name="确认撤下").click()
    _reload_until(release.page, "已撤下", 60)
    assert citizen.page.goto(article_url).status == 404  # type: ignore[union-attr]
    citizen.page.goto("/search?q=涵闸")
    expect(citizen.page.get_by_role("link", name=re.compile("主汛期防汛准备"))).to_have_count(0)
    assert _holders(demo.folder / "zhoukou-portal", "涵闸逐一检查") == []

    # 12. The auditor sees every step, and the exported evidence holds, or names what was changed.
    auditor = desk("zhoukou", "zhoukou-auditor")
    auditor.page.goto("/audit/")
    for word in ("签收", "登记", "批示", "会签", "签发", "分发", "催办"):
        expect(auditor.page.locator("body")).to_contain_text(word)
    auditor.shot("18-audit")
    registry.page.goto(document_url)
    with registry.page.expect_download() as download:
        registry.page.get_by_role("link", name="导出证据文件").click()
    evidence = tmp_path / "evidence.cbor"
    evidence.write_bytes(Path(download.value.path()).read_bytes())
    whole = _verify(evidence)
    assert whole.returncode == 0, whole.stdout
    assert "fugou" in whole.stdout
    data = bytearray(evidence.read_bytes())
    data[data.index(xlsx.read_bytes()[:64]) + 70] ^= 1
    evidence.write_bytes(data)
    broken = _verify(evidence)
    assert broken.returncode == 1
    assert xlsx.name in broken.stdout

    for person in (clerk, leader, registry, mayor, reviewer, water, county, finance, release):
        assert person.faults == [], person.page.url


def _verify(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhengtong", "verify", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _holders(folder: Path, words: str) -> list[str]:
    """The files of a node in which these words stand, as UTF-8 or UTF-16."""
    needles = [words.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            data = path.read_bytes()
            if any(needle in data for needle in needles):
                found.append(str(path.relative_to(folder)))
    return found
