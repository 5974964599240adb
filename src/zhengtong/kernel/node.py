"""Which node this is: one `node.toml`, read once into one typed value.

A wrong value is refused at start with the file, the line and the remedy, because a node that
guesses its own zone or ceiling is more dangerous than one that stands still.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from zhengtong.kernel.labels import DEFAULT_CEILING, Level, Zone

ROADS = ("https", "nats", "ferry")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on
NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]")


class NodeFileError(Exception):
    """`node.toml` cannot be used; the text says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The neighbour this node dials."""

    name: str
    url: str
    road: str = "https"


@dataclass(frozen=True, slots=True)
class Nats:
    """The NATS server beside this node (docs/adr/0015). All addresses are host and port.

    `url`: where our courier finds it; `leaves`: where it takes the servers of nodes below;
    `above`: where it attaches to the server of the node above. `server` is the program, if
    `zhengtong serve` is to run it. `tls`: a folder with TLS files, such as `keys`.
    """

    url: str
    leaves: str = ""
    above: str = ""
    server: Path | None = None
    tls: Path | None = None


@dataclass(frozen=True, slots=True)
class Stamping:
    """The time-stamping authority (RFC 3161) that is asked, and how often at most."""

    url: str
    every: timedelta


@dataclass(frozen=True, slots=True)
class Node:
    """This node, as its `node.toml` describes it. Paths are absolute.

    People reach `url`; other nodes dial `exchange_url`. The two differ when `exchange` is given:
    the address and port where nodes are received over mutual TLS.
    """

    name: str
    title: str
    zone: Zone
    ceiling: Level
    host: str
    port: int
    url: str
    home: Path
    database: str
    files: Path
    exchange_url: str
    exchange: tuple[str, int] | None = None
    parent: Parent | None = None
    stamping: Stamping | None = None
    nats: Nats | None = None
    demo: bool = False
    web_processes: int = 1
    workers: int = 1
    threads: int = 4
    max_upload_mb: int = 200
    accreditation: str = ""
    hosts: tuple[str, ...] = field(default=("127.0.0.1", "localhost"))

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def receives_over_tls(self) -> bool:
        """Whether other nodes must show a certificate. Without TLS only this machine is heard."""
        return self.exchange_url.startswith("https:")

    @property
    def needs_certificate(self) -> bool:
        """Whether it speaks TLS with another node."""
        dials = self.parent is not None and self.parent.url.startswith("https:")
        return self.exchange is not None or dials

    @property
    def run(self) -> Path:
        """Sockets and locks of the running processes."""
        return self.home / "run"

    @property
    def baked(self) -> Path:
        """Public pages, baked to files."""
        return self.home / "baked"

    @property
    def index(self) -> Path:
        return self.home / "index"


def load(path: Path) -> Node:
    """Read and check `node.toml`. Raises NodeFileError naming the line and the remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NodeFileError(f"{path}: not UTF-8 text. Save it as UTF-8.") from error
    except OSError as error:
        raise NodeFileError(
            f"cannot read {path}: {error.strerror}. Create a node with `zhengtong init FOLDER`."
        ) from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NodeFileError(f"{path}: not valid TOML: {error}. Correct that line.") from error
    return _Reader(path, text, tables).node()


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None when it is not one, or its port is no port."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


class _Reader:
    """Takes values out of the parsed file one by one and complains with their line."""

    def __init__(self, path: Path, text: str, tables: dict[str, Any]) -> None:
        self.path, self.lines, self.tables = path, text.splitlines(), tables

    def node(self) -> Node:
        self.refuse_unknown()
        name = self.text("node", "name", pattern=NAME, remedy="use a-z, 0-9 and -, 2 to 40 signs")
        zone = Zone(self.choice("node", "zone", [z.value for z in Zone], required=True))
        host, port = self.address("listen", "127.0.0.1:8100")
        url = self.text("node", "url", default=f"http://{host}:{port}")
        self.check_url("node", "url", url)
        exchange, exchange_url = self.exchange(url)
        home = self.path.resolve().parent
        return Node(
            name=name,
            title=self.text("node", "title", default=name),
            zone=zone,
            ceiling=self.ceiling(zone),
            host=host,
            port=port,
            url=url,
            home=home,
            database=self.database(home),
            files=(home / self.text("engines", "files", default="files")).resolve(),
            exchange_url=exchange_url,
            exchange=exchange,
            parent=self.parent(name),
            stamping=self.stamping(),
            nats=self.nats(home),
            demo=self.flag("node", "demo"),
            web_processes=self.number("serve", "web_processes", 1, 1, 64),
            workers=self.number("serve", "workers", 1, 1, 16),
            threads=self.number("serve", "threads", 4, 1, 64),
            max_upload_mb=self.number("serve", "max_upload_mb", 200, 1, 4096),
            accreditation=self.text("node", "accreditation", default=""),
            hosts=self.hosts(url, exchange_url),
        )

    KNOWN = {
        "node": "name title zone ceiling listen url demo accreditation hosts "
        "exchange_listen exchange_url".split(),
        "parent": "name url road".split(),
        "nats": "url leaves above server tls".split(),
        "engines": "database files".split(),
        "serve": "web_processes workers threads max_upload_mb".split(),
        "stamping": "url every_minutes".split(),
    }

    def refuse_unknown(self) -> None:
        for table, values in self.tables.items():
            if table not in self.KNOWN or not isinstance(values, dict):
                self.fail(table, None, f"unknown table; known: {', '.join(self.KNOWN)}")
            for key in values:
                if key not in self.KNOWN[table]:
                    self.fail(table, key, f"unknown key; known: {', '.join(self.KNOWN[table])}")

    def ceiling(self, zone: Zone) -> Level:
        word = self.text("node", "ceiling", default=DEFAULT_CEILING[zone].word)
        try:
            level = Level.from_word(word)
        except ValueError as error:
            self.fail("node", "ceiling", str(error))
        if zone is Zone.PUBLIC and level > Level.PUBLIC:
            self.fail("node", "ceiling", "a node in the public zone holds 公开 only; write 公开")
        if level is Level.TOP_SECRET:
            self.fail("node", "ceiling", "绝密 is never held; write 工作秘密 or lower")
        if level > Level.WORK_SECRET and not self.text("node", "accreditation", default=""):
            self.fail(
                "node",
                "ceiling",
                "state secrets need an accredited node: give its approval number as "
                "`accreditation`, or write 工作秘密 or lower",
            )
        return level

    def parent(self, name: str) -> Parent | None:
        if "parent" not in self.tables:
            return None
        parent = self.text("parent", "name", pattern=NAME, remedy="give the parent node's name")
        if parent == name:
            self.fail("parent", "name", "a node cannot be its own parent; name the node above")
        road = self.choice("parent", "road", list(ROADS))
        url = self.text("parent", "url", default="" if road == "ferry" else None)
        if url or road != "ferry":  # where no line leads there may be no address
            self.check_url("parent", "url", url)
        if road == "nats" and not self.tables.get("nats", {}).get("above"):
            self.fail(
                "parent",
                "road",
                "this road needs a [nats] table that says `above`, where the server of the node "
                'above takes leaves, such as "centre.example:7422"',
            )
        return Parent(parent, url.rstrip("/"), road)

    def nats(self, home: Path) -> Nats | None:
        """The table [nats]; between machines it asks for TLS."""
        if "nats" not in self.tables:
            return None
        url = self.place("url", "127.0.0.1:4222")
        if url.rpartition(":")[0].strip("[]") not in LOOPBACK:
            self.fail("nats", "url", "the courier's server runs on this machine; write 127.0.0.1")
        leaves, above = self.place("leaves", ""), self.place("above", "")
        tls = self.file(
            home,
            "nats",
            "tls",
            "the folder with tls.pem, tls-key.pem and authority.pem, such as keys",
        )
        for key, place in (("leaves", leaves), ("above", above)):
            if place and not tls and place.rpartition(":")[0].strip("[]") not in LOOPBACK:
                self.fail("nats", key, "between machines the line needs TLS; say `tls` as well")
        server = self.file(home, "nats", "server", "the nats-server program")
        return Nats(url, leaves, above, server, tls)

    def place(self, key: str, default: str) -> str:
        value = self.text("nats", key, default=default)
        if value and not self.is_place(value):
            self.fail("nats", key, 'write a host and a port, such as "127.0.0.1:4222"')
        return value

    def file(self, home: Path, table: str, key: str, what: str) -> Path | None:
        value = self.text(table, key, default="")
        path = home / value
        if value and not path.exists():
            self.fail(table, key, f"{path} does not exist; name {what}")
        return path.absolute() if value else None

    @staticmethod
    def is_place(value: str) -> bool:
        """Whether it is host:port."""
        host, _, port = value.rpartition(":")
        return bool(host and re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536)

    def stamping(self) -> Stamping | None:
        """Plain http will do: what is sent is a hash, and what comes back is signed."""
        if "stamping" not in self.tables:
            return None
        url = self.text("stamping", "url", remedy="give the authority's address")
        parts = _parts(url)
        fits = parts is not None and parts.scheme in ("http", "https") and parts.hostname
        if not fits or len(url) > 300:
            self.fail("stamping", "url", 'write an address such as "https://tsa.example/"')
        minutes = self.number("stamping", "every_minutes", 60, 1, 7 * 24 * 60)
        return Stamping(url, timedelta(minutes=minutes))

    def exchange(self, url: str) -> tuple[tuple[str, int] | None, str]:
        """Where other nodes are received over TLS, if anywhere, and the address they dial."""
        if "exchange_listen" not in self.tables["node"]:
            if "exchange_url" in self.tables["node"]:
                self.fail("node", "exchange_url", "give `exchange_listen` too")
            return None, url
        listen = self.address("exchange_listen", "")
        if listen[0] in ANYWHERE and "exchange_url" not in self.tables["node"]:
            self.fail(
                "node", "exchange_listen", "give `exchange_url`, the address others dial, too"
            )
        default = "https://" + self.text("node", "exchange_listen")
        dialled = self.text("node", "exchange_url", default=default)
        self.check_url("node", "exchange_url", dialled)
        if not dialled.startswith("https:"):
            self.fail("node", "exchange_url", "nodes are received over TLS; write https://")
        return listen, dialled.rstrip("/")

    def address(self, key: str, default: str) -> tuple[str, int]:
        listen = self.text("node", key, default=default)
        host, _, port = listen.rpartition(":")
        if not self.is_place(listen):
            self.fail("node", key, 'write an address and a port, such as "127.0.0.1:8100"')
        return host.strip("[]"), int(port)

    def check_url(self, table: str, key: str, url: str) -> None:
        parts = _parts(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            self.fail(table, key, 'write an address such as "https://centre.example"')
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            self.fail(table, key, "plain http is for this machine only; write https://")

    def database(self, home: Path) -> str:
        url = self.text("engines", "database", default="sqlite:///node.sqlite3")
        file, parts = url.removeprefix("sqlite:///"), _parts(url)
        if file not in (url, ""):
            return f"sqlite:///{(home / file).resolve()}"
        if parts and parts.scheme in ("postgresql", "postgres") and parts.path.strip("/"):
            return url
        self.fail(
            "engines", "database", "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        )

    def hosts(self, *urls: str) -> tuple[str, ...]:
        value = self.tables.get("node", {}).get("hosts", [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail("node", "hosts", 'write a list of host names, such as ["oa.example"]')
        own = [urlsplit(url).hostname or "" for url in urls]
        return tuple(dict.fromkeys([*own, *value, "127.0.0.1"]))

    def text(
        self,
        table: str,
        key: str,
        *,
        default: str | None = None,
        pattern: re.Pattern[str] | None = None,
        remedy: str = "write a text in quotes",
    ) -> str:
        value = self.tables.get(table, {}).get(key, default)
        if value is None:
            self.fail(table, key, f"missing; {remedy}")
        if not isinstance(value, str) or (pattern and not pattern.fullmatch(value)):
            self.fail(table, key, remedy)
        return value

    def choice(self, table: str, key: str, values: list[str], *, required: bool = False) -> str:
        value = self.text(table, key, default=None if required else values[0])
        if value not in values:
            self.fail(table, key, f"write one of {', '.join(values)}")
        return value

    def number(self, table: str, key: str, default: int, low: int, high: int) -> int:
        value = self.tables.get(table, {}).get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(table, key, f"write a whole number from {low} to {high}")
        return value

    def flag(self, table: str, key: str) -> bool:
        value = self.tables.get(table, {}).get(key, False)
        if not isinstance(value, bool):
            self.fail(table, key, "write true or false")
        return value

    def fail(self, table: str, key: str | None, remedy: str) -> NoReturn:
        where = f"[{table}] {key}" if key else f"[{table}]"
        raise NodeFileError(f"{self.path}, line {self.line(table, key)}: {where}: {remedy}.")

    def line(self, table: str, key: str | None) -> int:
        """The line a value stands on; for a missing one, the head of its table (or line 1)."""
        head, inside = 1, False
        for number, line in enumerate(self.lines, 1):
            stripped = line.strip()
            if heading := re.match(r"\[\s*([^\]]*?)\s*\]", stripped):
                inside = heading[1] == table
                head = number if inside else head
            elif inside and key and re.match(rf"{re.escape(key)}\s*=", stripped):
                return number
        return head
