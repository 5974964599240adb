"""`node.toml`: a good file makes a node; a bad value is refused with file, line and remedy."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.node import Nats, Node, NodeFileError, Parent, Stamping, load

MINIMAL = '[node]\nname = "zhoukou"\nzone = "private"\n'


def read(folder: Path, text: str | bytes) -> Node:
    path = folder / "node.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path)


def test_the_shortest_file_is_enough(tmp_path: Path) -> None:
    node = read(tmp_path, MINIMAL)
    assert (node.name, node.title, node.zone) == ("zhoukou", "zhoukou", Zone.PRIVATE)
    assert node.ceiling is Level.WORK_SECRET
    assert (node.host, node.port, node.url) == ("127.0.0.1", 8100, "http://127.0.0.1:8100")
    assert node.database == f"sqlite:///{tmp_path / 'node.sqlite3'}"
    assert (node.home, node.files) == (tmp_path, tmp_path / "files")
    assert node.keys == tmp_path / "keys" and node.run == tmp_path / "run"
    assert node.baked == tmp_path / "baked" and node.index == tmp_path / "index"
    assert node.parent is None and node.demo is False


def test_nodes_are_received_on_a_port_of_their_own(tmp_path: Path) -> None:
    plain = read(tmp_path, MINIMAL)
    assert (plain.exchange, plain.exchange_url) == (None, plain.url)
    assert not plain.receives_over_tls and not plain.needs_certificate
    node = read(tmp_path, f'{MINIMAL}exchange_listen = "192.0.2.7:8200"\n')
    assert (node.exchange, node.exchange_url) == (("192.0.2.7", 8200), "https://192.0.2.7:8200")
    named = f'{MINIMAL}exchange_listen = "[::]:8200"\nexchange_url = "https://n.example:8200/"\n'
    node = read(tmp_path, named)
    assert (node.exchange, node.exchange_url) == (("::", 8200), "https://n.example:8200")
    assert node.receives_over_tls and node.needs_certificate and "n.example" in node.hosts
    child = read(tmp_path, f'{MINIMAL}[parent]\nname = "henan"\nurl = "https://henan.example"\n')
    assert child.needs_certificate and not child.receives_over_tls


def test_where_no_line_leads_the_parent_needs_no_address(tmp_path: Path) -> None:
    node = read(tmp_path, f'{MINIMAL}[parent]\nname = "henan"\nroad = "ferry"\n')
    assert node.parent and (node.parent.url, node.parent.road) == ("", "ferry")
    assert not node.needs_certificate


@pytest.mark.parametrize("url", ["http://127.0.0.1:8200", "oa.example"])
def test_nodes_are_received_over_tls_only(tmp_path: Path, url: str) -> None:
    text = f'{MINIMAL}exchange_listen = "127.0.0.1:8200"\nexchange_url = "{url}"\n'
    with pytest.raises(NodeFileError, match=r"line 5: \[node\] exchange_url: .*https://"):
        read(tmp_path, text)


def test_everything_can_be_said(tmp_path: Path) -> None:
    node = read(
        tmp_path,
        """
        # 市级中心平台
        [node]    # 本节点
        name = "zhoukou"
        title = "周口市中心平台"
        zone = "inner"
        ceiling = "机密"
        accreditation = "豫保测 2026-001"
        listen = "[::1]:9000"
        url = "https://oa.zhoukou.example"
        hosts = ["oa.zhoukou.example", "192.0.2.7"]
        demo = true

        [parent]
        name = "henan"
        url = "https://henan.example/"

        [engines]
        database = "postgresql://oa:secret@db.example:5432/oa"
        files = "/srv/files"

        [serve]
        web_processes = 4
        workers = 2
        threads = 8
        max_upload_mb = 500
        """,
    )
    assert (node.title, node.ceiling) == ("周口市中心平台", Level.CONFIDENTIAL)
    assert (node.host, node.port) == ("::1", 9000)
    assert node.parent == Parent("henan", "https://henan.example")
    assert node.hosts == ("oa.zhoukou.example", "192.0.2.7", "127.0.0.1")
    assert node.database == "postgresql://oa:secret@db.example:5432/oa"
    assert node.files == Path("/srv/files")
    assert (node.web_processes, node.workers, node.threads) == (4, 2, 8)
    assert (node.max_upload_mb, node.demo, node.accreditation) == (500, True, "豫保测 2026-001")


@pytest.mark.parametrize(
    ("zone", "ceiling"),
    [("inner", Level.WORK_SECRET), ("private", Level.WORK_SECRET), ("public", Level.PUBLIC)],
)
def test_each_zone_has_its_ceiling_unless_a_lower_one_is_named(
    tmp_path: Path, zone: str, ceiling: Level
) -> None:
    text = f'[node]\nname = "n1"\nzone = "{zone}"\n'
    assert read(tmp_path, text).ceiling is ceiling
    assert read(tmp_path, text + 'ceiling = "公开"\n').ceiling is Level.PUBLIC


# A line of [node] that is wrong → what the person is told to do about it.
WRONG = {
    'name = ""': "use a-z",
    'name = "Zhoukou"': "use a-z",
    'name = "周口"': "use a-z",
    'name = "z"': "2 to 40 signs",
    'name = "zhoukou-"': "use a-z",
    f'name = "{"z" * 41}"': "2 to 40 signs",
    "name = 7": "use a-z",
    'zone = "internet"': "write one of inner, private, public",
    "zone = 1": "write a text in quotes",
    'ceiling = "保密"': "密级只能是 公开、内部、工作秘密、秘密、机密、绝密",
    "ceiling = 2": "write a text in quotes",
    'ceiling = "绝密"': "绝密 is never held; write 工作秘密 or lower",
    'ceiling = "秘密"': "state secrets need an accredited node",
    'ceiling = "机密"': "give its approval number as `accreditation`",
    'listen = "8100"': "write an address and a port",
    'listen = "127.0.0.1"': "write an address and a port",
    'listen = "127.0.0.1:0"': "write an address and a port",
    'listen = "127.0.0.1:65536"': "write an address and a port",
    'listen = "127.0.0.1:八一"': "write an address and a port",
    'listen = "127.0.0.1:²"': "write an address and a port",
    'listen = "127.0.0.1:-1"': "write an address and a port",
    'listen = ":8100"': "write an address and a port",
    'exchange_listen = "8200"': "write an address and a port",
    'exchange_listen = "0.0.0.0:8200"': "give `exchange_url`, the address others dial",
    'exchange_url = "https://oa.example"': "give `exchange_listen` too",
    'url = "oa.example"': "write an address such as",
    'url = "ftp://oa.example"': "write an address such as",
    'url = "https://"': "write an address such as",
    'url = "https://[::1"': "write an address such as",
    'url = "https://oa.example:99999"': "write an address such as",
    'url = "http://oa.example"': "plain http is for this machine only",
    'url = "http://127.0.0.1.example"': "plain http is for this machine only",
    'demo = "yes"': "write true or false",
    "demo = 1": "write true or false",
    'hosts = "oa.example"': "write a list of host names",
    "hosts = [1]": "write a list of host names",
    'colour = "red"': "unknown key; known: name, title, zone, ceiling",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_value_is_refused_with_file_line_and_remedy(tmp_path: Path, line: str) -> None:
    key = line.split(" ")[0]
    kept = [good for good in MINIMAL.splitlines() if not good.startswith(f"{key} ")]
    kept.append(line)
    with pytest.raises(NodeFileError) as caught:
        read(tmp_path, "# 周口\n" + "\n".join(kept) + "\n")
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'node.toml'}, line {len(kept) + 1}: [node] {key}: ")
    assert WRONG[line] in said


TABLES = {
    '[parent]\nname = "zhoukou"\nurl = "https://a.example"': (5, "cannot be its own parent"),
    '[parent]\nurl = "https://a.example"': (4, "missing; give the parent node's name"),
    '[parent]\nname = "henan"': (4, "missing; write a text in quotes"),
    '[parent]\nname = "henan"\nurl = "http://a.example"': (6, "plain http is for this machine"),
    '[parent]\nname = "henan"\nurl = ""': (6, "write an address such as"),
    '[engines]\ndatabase = "mysql://db/oa"': (5, "write sqlite:///FILE or postgresql://"),
    '[engines]\ndatabase = "node.sqlite3"': (5, "write sqlite:///FILE or postgresql://"),
    '[engines]\ndatabase = "sqlite:///"': (5, "write sqlite:///FILE or postgresql://"),
    '[engines]\ndatabase = "postgresql://db.example"': (5, "write sqlite:///FILE or postgresql"),
    '[engines]\ndatabase = "postgresql://u@db:x/oa"': (5, "write sqlite:///FILE or postgresql"),
    "[engines]\ndatabase = 1": (5, "write a text in quotes"),
    "[engines]\nfiles = false": (5, "write a text in quotes"),
    '[parent]\nname = "henan"\nurl = "https://h.example"\nroad = "air"': (7, "one of https, nats"),
    '[parent]\nname = "henan"\nurl = "https://h.example"\nroad = "nats"': (7, "`above`"),
    '[nats]\nurl = "127.0.0.1"': (5, "a host and a port"),
    '[nats]\nurl = "192.0.2.1:4222"': (5, "runs on this machine"),
    '[nats]\nleaves = "0.0.0.0:7422"': (5, "needs TLS"),
    '[nats]\nabove = "centre.example:7422"': (5, "needs TLS"),
    '[nats]\nserver = "nowhere/nats-server"': (5, "does not exist"),
    '[nats]\ntls = "nowhere"': (5, "such as keys"),
    "[nats]\nport = 4222": (5, "unknown key"),
    "[serve]\nworkers = 0": (5, "write a whole number from 1 to 16"),
    "[serve]\nworkers = 17": (5, "write a whole number from 1 to 16"),
    "[serve]\nworkers = true": (5, "write a whole number from 1 to 16"),
    '[serve]\nthreads = "4"': (5, "write a whole number from 1 to 64"),
    "[serve]\nweb_processes = 1.5": (5, "write a whole number from 1 to 64"),
    "[serve]\nmax_upload_mb = 5000": (5, "write a whole number from 1 to 4096"),
    "[server]\nworkers = 1": (4, "unknown table; known: node, parent, nats, engines, serve"),
    "[serve] # 进程\n# workers = 1\nworkers = 0": (6, "write a whole number from 1 to 16"),
}


@pytest.mark.parametrize("table", TABLES)
def test_so_is_one_in_any_other_table(tmp_path: Path, table: str) -> None:
    line, remedy = TABLES[table]
    with pytest.raises(NodeFileError) as caught:
        read(tmp_path, MINIMAL + table + "\n")
    assert f"node.toml, line {line}: [" in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("missing", ["name", "zone"])
def test_what_must_be_said_is_missed_at_its_table(tmp_path: Path, missing: str) -> None:
    text = "# 周口\n" + re.sub(rf"{missing} = .*\n", "", MINIMAL)
    with pytest.raises(NodeFileError, match=rf"line 2: \[node\] {missing}: missing; "):
        read(tmp_path, text)
    with pytest.raises(NodeFileError, match=r"line 1: \[node\] name: missing"):
        read(tmp_path, "")


@pytest.mark.parametrize("level", ["内部", "工作秘密", "秘密", "机密"])
def test_the_public_zone_holds_nothing_above_public_whatever_is_written(
    tmp_path: Path, level: str
) -> None:
    text = f'[node]\nname = "portal"\nzone = "public"\naccreditation = "x"\nceiling = "{level}"\n'
    with pytest.raises(NodeFileError, match=r"line 5: .*holds 公开 only; write 公开"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node\n", "line 1"),
        ("[node]\nname = zhoukou\n", "line 2"),
        ('[node]\nname = "a1"\nname = "b2"\n', "line 3"),
        (b'[node]\nname = "\xff"\n', "not UTF-8"),
        ("node = 1\n", "unknown table"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(NodeFileError, match=words) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "node.toml") in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NodeFileError, match=r"No such file.*zhengtong init FOLDER"):
        load(tmp_path / "node.toml")
    with pytest.raises(NodeFileError, match="zhengtong init FOLDER"):
        load(tmp_path)


def test_a_time_stamping_authority_may_be_named(tmp_path: Path) -> None:
    assert read(tmp_path, MINIMAL).stamping is None
    named = MINIMAL + '[stamping]\nurl = "http://tsa.example/"\n'
    assert read(tmp_path, named).stamping == Stamping("http://tsa.example/", timedelta(hours=1))
    seldom = read(tmp_path, named + "every_minutes = 1440\n").stamping
    assert seldom is not None
    assert seldom.every == timedelta(days=1)


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ("", "missing; give the authority's address"),
        ('url = "tsa.example"', "write an address such as"),
        ('url = "ftp://tsa.example"', "write an address such as"),
        (f'url = "https://tsa.example/{"x" * 300}"', "write an address such as"),
        ('url = "https://tsa.example"\nevery_minutes = 0', "a whole number from 1 to 10080"),
        ('url = "https://tsa.example"\nevery = 5', "unknown key; known: url, every_minutes"),
    ],
)
def test_a_wrong_authority_is_refused(tmp_path: Path, lines: str, remedy: str) -> None:
    with pytest.raises(NodeFileError, match=re.escape(remedy)):
        read(tmp_path, f"{MINIMAL}[stamping]\n{lines}\n")


def test_a_node_may_stand_between_two_roads(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "nats-server").touch()
    node = read(
        tmp_path,
        MINIMAL
        + '[parent]\nname = "henan"\nurl = "https://henan.example"\nroad = "nats"\n'
        + '[nats]\nurl = "127.0.0.1:4333"\nleaves = "0.0.0.0:7422"\n'
        + 'above = "henan.example:7422"\ntls = "tls"\nserver = "nats-server"\n',
    )
    assert node.parent == Parent("henan", "https://henan.example", "nats")
    assert node.nats == Nats(
        "127.0.0.1:4333",
        "0.0.0.0:7422",
        "henan.example:7422",
        tmp_path / "nats-server",
        tmp_path / "tls",
    )
    assert read(tmp_path, MINIMAL).nats is None
    assert read(tmp_path, MINIMAL + "[nats]\n").nats == Nats("127.0.0.1:4222")
