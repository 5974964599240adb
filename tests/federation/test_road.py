"""A document travels between nodes, and what is done with it travels back."""

from __future__ import annotations

from tests.federation.city import City, office_id, wait_until


def test_a_document_reaches_the_counties_and_their_answers_come_back(city: City) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.site("shenqiu", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"], "shenqiu": ["沈丘县"]})
    centre, fugou, shenqiu = (city.sites[name] for name in ("centre", "fugou", "shenqiu"))
    centre.start()
    fugou.start()  # shenqiu stays off for now

    document = centre.do(
        "send",
        clerk="市府办办事员",
        leader="市府办领导",
        to=[str(office_id("扶沟县")), str(office_id("沈丘县"))],
        title="关于做好防汛工作",
        attachment="水位表" * 500_000,
    )
    wait_until(lambda: fugou.do("received", clerk="扶沟县办事员") == {document: 1})
    assert fugou.do("attachment_of", clerk="扶沟县办事员", document=document).startswith("水位表")
    assert centre.do("words", clerk="市府办办事员", document=document) == {
        "扶沟县": "已送达",
        "沈丘县": "发送中",
    }
    fugou.do("sign_for", clerk="扶沟县办事员", document=document)

    shenqiu.start()
    wait_until(lambda: shenqiu.do("received", clerk="沈丘县办事员") == {document: 1})
    shenqiu.do(
        "return_document", clerk="沈丘县办事员", document=document, reason="附件不清晰，请重发。"
    )
    wait_until(
        lambda: (
            centre.do("words", clerk="市府办办事员", document=document)
            == {"扶沟县": "已签收", "沈丘县": "已退回"}
        ),
        what="the matrix to show both answers",
    )
    for site in city.sites.values():
        left = site.do("counts")
        assert (left["waiting"], left["refused"], left["dead"]) == (0, 0, 0)
