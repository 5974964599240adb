"""A node joins real neighbours, is suspended, changes keys, loses them, and is expelled.

Real processes on real sockets: what the administrators type is what runs here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import build
from tests.federation.city import ROOT, City, Site, environment, free_port, office_id, wait_until

pytestmark = [pytest.mark.long, pytest.mark.soak]

OFFICE, COUNTY = "市府办", "西华县"
ADMINISTRATORS = ["市府办管理员甲", "市府办管理员乙"]
DUTIES = [
    f"membership.{verb}" for verb in "invite withdraw approve refuse suspend resume expel".split()
]


def say(
    site: Site, *words: str, as_person: str = "", ok: bool = True, wait: bool = True
) -> subprocess.Popen[str]:
    """A command of the administrator, with the password of who gives it."""
    command = [sys.executable, "-m", "zhengtong", "--node", str(site.node_file), "node", *words]
    if as_person:
        command += ["--as", as_person]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(f"{build.PASSWORD}\n")
    process.stdin.close()
    process.stdin = None
    if wait:
        process.out, process.err = process.communicate(timeout=120)  # type: ignore[attr-defined]
        said = process.out + process.err  # type: ignore[attr-defined]
        assert (process.returncode == 0) is ok, said
    return process


def out(process: subprocess.Popen[str]) -> str:
    return str(process.out)  # type: ignore[attr-defined]


def err(process: subprocess.Popen[str]) -> str:
    return str(process.err)  # type: ignore[attr-defined]


def set_up(city: City) -> Site:
    """The city's node with its office and two administrators, running."""
    centre = city.site("centre")
    city.build({"centre": [OFFICE]})
    for name in ADMINISTRATORS:
        centre.do("officer", sign_in_name=name, organisation=str(office_id(OFFICE)), duties=DUTIES)
    centre.start()
    return centre


def new_node(city: City, name: str = "xihua", zone: str = "private") -> Site:
    """A node that knows nobody yet, and hosts one office."""
    site = Site(name, city.folder / name, free_port(), city.engine, zone=zone)
    city.sites[name] = site
    site.build()
    if name == "xihua":
        identifier = str(office_id(COUNTY))
        site.do("organisation", id=identifier, name=COUNTY, node=name, kind="county", number=22)
        clerk, leader = f"{COUNTY}办事员", f"{COUNTY}领导"
        for who, duties in ((clerk, build.CLERK), (leader, build.LEADER)):
            site.do("officer", sign_in_name=who, organisation=identifier, duties=list(duties))
    return site


def invite(centre: Site, name: str = "xihua", *more: str) -> tuple[str, str]:
    """The token and the fingerprint on the letter of invitation."""
    letter = out(
        say(centre, "invite", name, "--title", f"{name}节点", *more, as_person=ADMINISTRATORS[0])
    )
    lines = {line[:22].strip(): line[22:].strip() for line in letter.splitlines()}
    return lines["token"], lines["fingerprint"]


def url(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}"


def dismiss_driver(site: Site) -> None:
    """Let the next act be done by a process that reads the node's files anew."""
    if site.driver:
        site.driver.kill()
        site.driver.wait()
        site.driver = None


def join(city: City, centre: Site, recovery: Path | None = None) -> Site:
    """The whole way in, over the network; the new node runs afterwards."""
    xihua = new_node(city)
    if recovery:
        say(xihua, "recovery-key", "--out", str(recovery))
    token, key = invite(centre)
    asking = say(xihua, "join", url(centre), token, "--key", key, wait=False)
    wait_until(
        lambda: centre.do("stages", node="xihua")[0] == "asked", what="the request to arrive"
    )
    assert "another administrator" in out(
        say(centre, "approve", "xihua", as_person=ADMINISTRATORS[0])
    )
    again = say(centre, "approve", "xihua", as_person=ADMINISTRATORS[0], ok=False)
    assert "另一名管理员" in err(again)
    assert "admitted" in out(say(centre, "approve", "xihua", as_person=ADMINISTRATORS[1]))
    said, complaint = asking.communicate(timeout=60)
    assert asking.returncode == 0, complaint
    assert "joined centre" in said
    dismiss_driver(xihua)  # it read node.toml before the parent stood in it
    xihua.start()
    return xihua


def dispatched(centre: Site, title: str) -> str:
    return str(
        centre.do(
            "send",
            clerk=f"{OFFICE}办事员",
            leader=f"{OFFICE}领导",
            to=[str(office_id(COUNTY))],
            title=title,
        )
    )


def arrives(xihua: Site, document: str, what: str) -> None:
    wait_until(lambda: xihua.do("received", clerk=f"{COUNTY}办事员").get(document) == 1, what=what)


def signed_for(centre: Site, xihua: Site, document: str) -> None:
    """The way back works as well."""
    xihua.do("sign_for", clerk=f"{COUNTY}办事员", document=document)
    clerk = f"{OFFICE}办事员"
    wait_until(lambda: document in centre.do("signed_for", clerk=clerk), what="its signing for")


def refusal_seen(xihua: Site, code: str) -> None:
    wait_until(
        lambda: code in xihua.do("link", node="centre")["last_error"], what="the refusal below"
    )


def sound(*sites: Site) -> None:
    """The nodes have nothing to complain of; those below stop first."""
    for site in sites:
        site.stop()
        assert not site.examine()


def test_a_node_joins_over_the_network_and_exchanges_a_document(city: City) -> None:
    centre = set_up(city)
    xihua = join(city, centre)
    document = dispatched(centre, "关于入网后首件公文")
    arrives(xihua, document, "the first document")
    signed_for(centre, xihua, document)
    assert "directory of centre" in out(say(xihua, "directory"))
    assert (xihua.folder / "keys" / "tls.pem").exists()
    assert not (xihua.folder / "keys" / "joining.cbor").exists()
    assert xihua.do("audited", verb="membership.joined") == 1
    sound(xihua, centre)


def test_a_suspended_node_loses_nothing_and_an_expelled_one_is_out(city: City) -> None:
    first, second = ADMINISTRATORS
    centre = set_up(city)
    xihua = join(city, centre)
    arrives(xihua, dispatched(centre, "关于停用之前"), "a document before")
    say(centre, "suspend", "xihua", "--reason", "检修", as_person=first)
    documents = [dispatched(centre, f"关于停用期间之{number}") for number in range(3)]
    refusal_seen(xihua, "suspended")
    assert not set(documents) & set(xihua.do("received", clerk=f"{COUNTY}办事员"))
    say(centre, "resume", "xihua", as_person=second)
    for document in documents:
        arrives(xihua, document, "what waited")
    assert xihua.do("counts")["refused"] == centre.do("counts")["refused"] == 0

    xihua.stop()
    dispatched(centre, "关于除名之时")
    say(centre, "expel", "xihua", "--reason", "机构撤并", as_person=first)
    assert centre.do("counts")["waiting"] == 0
    assert "letters could not be sealed" in centre.examine()
    xihua.start()
    refusal_seen(xihua, "expelled")
    again = say(centre, "invite", "xihua", "--title", "又来", as_person=first, ok=False)
    assert "不能再次使用" in err(again)


def test_what_is_not_as_invited_is_refused(city: City) -> None:
    centre = set_up(city)
    token, key = invite(centre)
    fugou = new_node(city, "fugou")
    assert "wrong_node" in err(say(fugou, "join", url(centre), token, ok=False))
    inner = new_node(city, "xihua", zone="inner")
    assert "wrong_zone" in err(say(inner, "join", url(centre), token, ok=False))
    assert "unknown_token" in err(say(inner, "join", url(centre), "0" * 32, ok=False))
    assert "eight groups" in err(say(inner, "join", url(centre), "ABC", ok=False))
    inner.node_file.write_text(inner.node_file.read_text().replace('"inner"', '"private"'))
    assert "not approved yet" in err(
        say(inner, "join", url(centre), token, "--wait", "0", ok=False)
    )
    (inner.folder / "keys" / "joining.cbor").unlink()
    assert "used_token" in err(say(inner, "join", url(centre), token, ok=False))
    say(centre, "refuse", "xihua", "--reason", "申请重复", as_person=ADMINISTRATORS[1])
    token, _ = invite(centre)
    asking = say(inner, "join", url(centre), token, "--key", "0" * 32, wait=False)
    wait_until(
        lambda: centre.do("stages", node="xihua")[0] == "asked", what="the request to arrive"
    )
    for name in ADMINISTRATORS:
        say(centre, "approve", "xihua", as_person=name)
    _, complaint = asking.communicate(timeout=60)
    assert asking.returncode == 1 and "指纹不符" in complaint
    assert "[parent]" not in inner.node_file.read_text()
    assert key


def test_keys_change_on_both_sides_with_mail_in_flight(city: City, tmp_path: Path) -> None:
    """The node joins by file, as where there is no line."""
    centre = set_up(city)
    xihua = new_node(city)
    token, key = invite(centre)
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    say(xihua, "join", token, "--out", str(request))
    first, second = ADMINISTRATORS
    say(centre, "approve", "xihua", "--request", str(request), as_person=first)
    say(centre, "approve", "xihua", "--answer", str(answer), as_person=second)
    say(xihua, "join", "--in", str(answer), "--key", key)
    dismiss_driver(xihua)
    xihua.start()
    arrives(xihua, dispatched(centre, "关于换钥之前"), "a document before")
    for side in (centre, xihua):
        xihua.stop()
        documents = [dispatched(centre, f"关于路上的信之{n}（{side.name}）") for n in range(5)]
        xihua.start()
        say(side, "rotate-keys")
        documents += [dispatched(centre, f"关于换钥之时之{n}（{side.name}）") for n in range(5)]
        wait_until(
            lambda side=side: not side.do("changing_keys"),  # type: ignore[misc]
            what="the change of keys to end",
        )
        documents.append(dispatched(centre, f"关于换钥之后（{side.name}）"))
        for document in documents:
            arrives(xihua, document, "every document, once")
        signed_for(centre, xihua, documents[-1])
        assert side.do("audited", verb="membership.retire_keys") == 1
    assert xihua.do("counts")["refused"] == centre.do("counts")["refused"] == 0
    sound(xihua, centre)


def test_a_node_that_lost_its_keys_comes_back(city: City) -> None:
    centre = set_up(city)
    kept = city.folder / "recovery.pem"
    xihua = join(city, centre, kept)
    arrives(xihua, dispatched(centre, "关于遗失之前"), "a document before")
    xihua.stop()
    waiting = [dispatched(centre, f"关于遗失之时之{number}") for number in range(3)]
    wait_until(lambda: centre.do("counts")["waiting"] == 0, what="letters sealed for the lost key")
    dismiss_driver(xihua)
    (xihua.folder / "keys" / "node.pem").unlink()
    stranger = new_node(city, "fugou")
    other = city.folder / "other.pem"
    say(stranger, "recovery-key", "--out", str(other))
    assert "fugou" in err(say(xihua, "rekey", "--recovery", str(other), ok=False))
    say(xihua, "rekey", "--recovery", str(kept))
    xihua.start()
    for document in waiting:
        arrives(xihua, document, "what was sealed for the lost key")
    after = dispatched(centre, "关于恢复之后")
    arrives(xihua, after, "a document after")
    signed_for(centre, xihua, after)
