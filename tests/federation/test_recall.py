"""撤回 between real nodes: with the county off, after it has signed for, and proven afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.federation.city import City, office_id, wait_until, zhengtong
from zhengtong.wire.envelope import read_header
from zhengtong.wire.evidence import unpack

pytestmark = [pytest.mark.long, pytest.mark.soak]

CLERK, LEADER = "市府办办事员", "市府办领导"
COUNTY = "扶沟县办事员"


def test_a_document_is_taken_back_from_a_county_that_was_off_and_asked_back_once_signed_for(
    city: City, tmp_path: Path
) -> None:
    centre, fugou = city.site("centre"), city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    to = [str(office_id("扶沟县"))]
    city.start()

    def sends(title: str) -> str:
        return str(centre.do("send", clerk=CLERK, leader=LEADER, to=to, title=title))

    def word(document: str) -> str:
        return str(centre.do("words", clerk=CLERK, document=document)["扶沟县"])

    signed = sends("关于已签收的事")
    wait_until(lambda: signed in fugou.do("received", clerk=COUNTY))
    fugou.do("sign_for", clerk=COUNTY, document=signed)
    wait_until(lambda: word(signed) == "已签收")

    # The county's node is off: one document leaves and is taken back, the other asked back.
    fugou.stop()
    missed = sends("关于发错的事")
    for document in (missed, signed):
        centre.do("recall", clerk=CLERK, document=document, units=to, reason="内容有误。")
    assert (word(missed), word(signed)) == ("撤回中", "请求撤回")

    fugou.start()
    wait_until(lambda: word(missed) == "已撤回", what="the recall to be answered")
    assert fugou.do("register_of", clerk=COUNTY)[missed] == ["recalled/recalled"]
    assert missed not in fugou.do("readable", clerk=COUNTY)
    urn = f"urn:zhengtong:document:{missed}"
    came = {
        kind: [place for place, about in fugou.do("arrivals", kind=kind) if about == urn]
        for kind in ("documents.dispatched", "documents.recalled")
    }
    assert max(came["documents.dispatched"]) < min(came["documents.recalled"]), "both, in order"

    wait_until(lambda: "来文机关请求撤回" in fugou.do("to_do", clerk=COUNTY))
    assert word(signed) == "请求撤回"
    assert signed in fugou.do("readable", clerk=COUNTY)
    fugou.do("answer_recall", clerk=COUNTY, document=signed, agree=True, reason="同意。")
    wait_until(lambda: word(signed) == "已撤回")
    assert fugou.do("register_of", clerk=COUNTY)[signed] == ["agreed/recalled"]
    assert fugou.do("to_do", clerk=COUNTY) == []
    assert fugou.do("readable", clerk=COUNTY) == []

    # Sent again, it stands in the register anew.
    centre.do("resend", clerk=CLERK, document=missed, units=to)
    wait_until(lambda: fugou.do("to_do", clerk=COUNTY) == ["签收"])
    assert fugou.do("register_of", clerk=COUNTY)[missed] == ["/", "recalled/recalled"]
    fugou.do("sign_for", clerk=COUNTY, document=missed)
    wait_until(lambda: word(missed) == "已签收")
    for node in (centre, fugou):
        assert node.do("counts")["dead"] == 0

    # Whoever holds the evidence file can show the recall, and that it was answered.
    wait_until(lambda: centre.do("counts")["unsealed"] == 0, what="the audit log to be sealed")
    wait_until(lambda: centre.do("counts")["unreceipted"] == 0)
    evidence = bytes.fromhex(centre.do("export_evidence", clerk=CLERK, document=signed))
    headers = [read_header(letter.envelope) for letter in unpack(evidence).letters]
    told = {(header.origin, header.kind) for header in headers}
    assert told >= {
        ("centre", "documents.dispatched"),
        ("fugou", "documents.signed_for"),
        ("centre", "documents.recalled"),
        ("fugou", "documents.recall_answered"),
    }
    path = tmp_path / "evidence.cbor"
    path.write_bytes(evidence)
    verified = zhengtong("verify", path)
    assert verified.returncode == 0, verified.stdout
