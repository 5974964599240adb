"""The way a letter took through a node between, as an officer sees it on the page of links."""

from __future__ import annotations

import re
from pathlib import Path

from tests.federation.city import City, office_id, wait_until, zhengtong
from tests.federation.desk import Desk

CLERK, LEADER, KEEPER, COUNTY = "省府办办事员", "省府办领导", "省网管", "扶沟县办事员"


def rows(page: str) -> list[str]:
    """The nodes of the way, each as the words of its row."""
    _, _, table = page.partition("信件经过的节点")
    found = re.findall(r"<tr><td.*?</tr>", table.partition("</table>")[0], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


def test_the_way_of_a_letter_is_shown_until_the_last_node_has_signed(
    city: City, tmp_path: Path
) -> None:
    henan = city.site("henan")
    centre = city.site("centre", "henan")
    fugou = city.site("fugou", "centre")
    city.build({"henan": ["省府办"], "centre": ["市府办"], "fugou": ["扶沟县"]})
    henan.do("route", card=fugou.card(), through="centre")
    fugou.do("route", card=henan.card(), through="centre")
    office = str(office_id("省府办"))
    henan.do("officer", sign_in_name=KEEPER, organisation=office, duties=["links.read"])
    henan.start()
    centre.start()
    keeper = Desk(henan, KEEPER)
    to = [str(office_id("扶沟县"))]
    document = henan.do("send", clerk=CLERK, leader=LEADER, to=to, title="关于防汛")
    letter = henan.do("letter_for", node="fugou")

    def shown() -> str:
        return keeper.page(f"/links/log/sent/{letter}/")

    wait_until(lambda: "信件已到中转节点“centre”" in shown(), what="the hop's receipt")
    page = shown()
    assert "收件节点“fugou”的回执还没有传回" in page
    assert "已到中转节点" in keeper.page("/links/log/?kind=documents.dispatched")
    own, hop, last = rows(page)
    assert re.search(r"^本节点 发出 .* 已编号 存证日志 henan/exchange 第 \d+ 条$", own)
    assert re.search(r"^centre 中转节点 centre .* 已收妥 存证日志 centre/exchange 第 \d+ 条", hop)
    assert hop.endswith("核验通过")
    assert last == "fugou 收件节点 fugou — 尚无回执 —"

    fugou.start()
    wait_until(lambda: "收件节点“fugou”已签名确认收妥" in shown(), what="the last receipt")
    *_, last = rows(shown())
    assert re.search(r"^fugou 收件节点 fugou .* 已收妥 存证日志 fugou/exchange 第 \d+ 条", last)
    assert last.endswith("核验通过")
    assert "已送达" in keeper.page("/links/log/?kind=documents.dispatched")

    for site, clerk in ((henan, CLERK), (fugou, COUNTY)):
        proof = bytes.fromhex(site.do("export_evidence", clerk=clerk, document=document))
        path = tmp_path / f"{site.name}.cbor"
        path.write_bytes(proof)
        judged = zhengtong("verify", path)
        assert judged.returncode == 0, judged.stdout
        assert "henan(henan)发给 fugou" in judged.stdout
    judged = zhengtong("verify", tmp_path / "henan.cbor")
    assert re.search(r"  fugou\(fugou\):于.*送达", judged.stdout), "by its own receipt"
    assert "由 centre(中转节点)签名" in judged.stdout

    henan.do("tamper_carried")
    page = shown()
    assert "收件节点“fugou”的回执核验不通过，不能证明信件已送达" in page
    assert "核验不通过" in rows(page)[-1]
