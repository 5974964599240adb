"""A node is lost with its disk and made anew from a backup; the link goes on without a hole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.federation.city import City, office_id, postgres_programs, wait_until, zhengtong
from zhengtong.kernel.node import load

pytestmark = pytest.mark.long
CLERK, LEADER, COUNTY = "市府办办事员", "市府办领导", "扶沟县办事员"


def test_a_node_restored_from_a_backup_goes_on(city: City, tmp_path: Path) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    to = [str(office_id("扶沟县"))]
    documents = centre.do("prepare", clerk=CLERK, leader=LEADER, to=to, number=40)
    before, during, after = documents[:10], documents[10:38], documents[38:]
    city.start()
    attached = centre.do(
        "send", clerk=CLERK, leader=LEADER, to=to, title="关于水位", attachment="水位表" * 9
    )
    for document in before:
        centre.do("dispatch", clerk=CLERK, document=document)
    wait_until(lambda: set(fugou.do("waiting", clerk=COUNTY)) == {*before, attached})
    fugou.do("sign_for", clerk=COUNTY, document=before[0])
    wait_until(lambda: centre.do("signed_for", clerk=CLERK) == before[:1])

    # The county's backup is taken while documents arrive.
    archive = tmp_path / "fugou.backup"
    for place, document in enumerate(during):
        centre.do("dispatch", clerk=CLERK, document=document)
        if place == len(during) // 2:
            done = zhengtong("backup", archive, node=fugou.node_file, extra=postgres_programs())
            assert done.returncode == 0, done.stderr
    assert archive.stat().st_mode & 0o077 == 0, "the keys are inside"
    wait_until(lambda: set(fugou.do("received", clerk=COUNTY)) == {*before, *during, attached})
    fugou.do("sign_for", clerk=COUNTY, document=before[1])
    wait_until(lambda: set(centre.do("signed_for", clerk=CLERK)) == set(before[:2]))

    # Then its disk is lost, and somebody makes it anew in another place.
    fugou.kill()
    fugou.kill_driver()
    lost = load(fugou.node_file).database
    shutil.rmtree(fugou.folder)
    fugou.folder = tmp_path / "anew"
    database = city.engine.create("fed_anew") if city.engine.server else "sqlite:///node.sqlite3"
    try:
        done = zhengtong(
            "restore", archive, fugou.folder, "--database", database, extra=postgres_programs()
        )
        assert done.returncode == 0, done.stderr
        assert load(fugou.node_file).database != lost
        assert not fugou.examine(), "sound, before it starts"
        known = fugou.insist("received", clerk=COUNTY)
        assert {*before, attached} <= set(known), "what came before the backup is there"
        text = fugou.do("attachment_of", clerk=COUNTY, document=attached)
        assert text == "水位表" * 9
        fugou.do("sign_for", clerk=COUNTY, document=before[2])  # before anybody was met again
        fugou.start()

        wait_until(lambda: set(fugou.do("received", clerk=COUNTY)) == {*before, *during, attached})
        for document in after:
            centre.do("dispatch", clerk=CLERK, document=document)
        everything = dict.fromkeys([*documents, attached], 1)
        wait_until(lambda: fugou.do("received", clerk=COUNTY) == everything)
        wait_until(lambda: set(centre.do("signed_for", clerk=CLERK)) == set(before[:3]))
        for site in (fugou, centre):  # a child whose parent is gone would complain of that
            wait_until(lambda site=site: site.do("counts")["unreceipted"] == 0)  # type: ignore[misc]
            counts = site.do("counts")
            assert (counts["waiting"], counts["refused"], counts["dead"]) == (0, 0, 0)
            wait_until(lambda site=site: site.do("counts")["unsealed"] == 0)  # type: ignore[misc]
            site.stop()
            said = site.examine()
            if site is fugou:
                assert not said
            else:  # whoever has seen the old log is told that another was begun
                assert said.count("✗") == 1 and "启用了新的存证日志" in said
    finally:
        fugou.close()
        city.engine.drop("fed_anew")


def test_a_restore_touches_nothing_that_is_there(city: City, tmp_path: Path) -> None:
    centre = city.site("centre", database_inside=True)
    city.build({"centre": ["市府办"]})
    archive, folder = tmp_path / "node.backup", tmp_path / "anew"
    programs = postgres_programs()
    assert zhengtong("backup", archive, node=centre.node_file, extra=programs).returncode == 0

    done = zhengtong("restore", archive, centre.folder, extra=programs)
    assert done.returncode == 1
    assert "not empty" in done.stderr

    database = load(centre.node_file).database
    done = zhengtong("restore", archive, folder, "--database", database, extra=programs)
    assert done.returncode == 1
    assert "--database" in done.stderr, "the database in use is refused, with the remedy"
    assert not folder.exists()
    assert centre.do("counts")["documents"] == 0, "and still works"

    whole = archive.read_bytes()
    for damage in (whole[: len(whole) // 2], whole[:-4000] + os.urandom(2000), b"", b"no archive"):
        archive.write_bytes(damage)
        done = zhengtong("restore", archive, folder, extra=programs)
        assert done.returncode == 1
        assert "Use another backup" in done.stderr
        assert not folder.exists()
