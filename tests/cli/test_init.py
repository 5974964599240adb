"""`zhengtong init`: a node is made, may be made again without harm, and bad values are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import Engine
from tests.federation.city import zhengtong
from zhengtong.faces.cli.init import write_node
from zhengtong.kernel.messages.keyfile import read_keys
from zhengtong.kernel.node import load


def test_init_makes_a_node_and_again_changes_nothing(tmp_path: Path, engine: Engine) -> None:
    folder = tmp_path / "centre"
    database = engine.create("cli_init") if engine.server else "sqlite:///node.sqlite3"
    words = ("init", folder, "--name", "zhoukou", "--title", "周口市中心节点")
    try:
        made = zhengtong(*words, "--database", database)
        assert (made.returncode, "serve" in made.stdout) == (0, True), made.stderr
        keys, text = read_keys(folder / "keys").signing_kid, (folder / "node.toml").read_text()
        secret = (folder / "keys" / "secret").read_text()
        for path in (folder / "keys").iterdir():
            assert path.stat().st_mode & 0o077 == 0, f"{path.name} is for its owner only"

        again = zhengtong("init", folder, "--name", "other", "--zone", "public")
        assert again.returncode == 0, again.stderr
        assert read_keys(folder / "keys").signing_kid == keys
        assert (folder / "node.toml").read_text() == text
        assert (folder / "keys" / "secret").read_text() == secret
        assert zhengtong("doctor", node=folder / "node.toml").returncode == 0
    finally:
        engine.drop("cli_init")


def test_init_says_where_nodes_are_received(tmp_path: Path) -> None:
    write_node(
        tmp_path,
        name="zhoukou",
        title="周口市中心节点",
        zone="private",
        listen="127.0.0.1:8100",
        exchange_listen="127.0.0.1:8200",
        parent=("henan", "https://henan.example:8200"),
    )
    node = load(tmp_path / "node.toml")
    assert (node.url, node.exchange_url) == ("http://127.0.0.1:8100", "https://127.0.0.1:8200")
    assert node.needs_certificate and node.receives_over_tls


def test_a_node_may_be_made_with_the_commercial_algorithms(tmp_path: Path) -> None:
    made = zhengtong("init", tmp_path / "centre", "--suite", "gm")
    assert made.returncode == 0, made.stderr
    assert read_keys(tmp_path / "centre" / "keys").suite.name == "gm"


@pytest.mark.parametrize("word", ["init", "serve", "backup"])
def test_a_bad_value_is_refused_with_its_line_and_remedy(tmp_path: Path, word: str) -> None:
    """Every rule of the file is tested with the kernel; here: every command holds to them."""
    path = tmp_path / "node.toml"
    path.write_text('# ours\n[node]\nname = "centre"\nzone = "moon"\n')
    target = {"init": [tmp_path], "serve": [], "backup": [tmp_path / "archive"]}[word]
    done = zhengtong(word, *target, node=path)
    assert done.returncode == 1
    assert f"{path}, line 4" in done.stderr
    assert "write one of inner, private, public" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_is_not_there_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    done = zhengtong("serve", node=tmp_path / "node.toml")
    assert (done.returncode, "zhengtong init" in done.stderr) == (1, True)


def test_a_database_that_cannot_be_reached_is_said_plainly(tmp_path: Path) -> None:
    database = "postgresql://nobody:secret-word@127.0.0.1:1/none"
    done = zhengtong("init", tmp_path / "centre", "--database", database)
    assert done.returncode == 1
    assert "the database cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr and "secret-word" not in done.stderr
    later = zhengtong("serve", node=tmp_path / "centre" / "node.toml")
    assert later.returncode == 1
    assert "Traceback" not in later.stderr and "secret-word" not in later.stderr
