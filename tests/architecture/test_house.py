"""Rules of the house that no linter knows. Each test names the file and line that breaks one."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "zhengtong"

# Written in pieces, or this file would be found by its own search.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "tuna." + "tsinghua",
    "mirrors." + "aliyun",
    "docker." + "io",
    "proxy.go" + "lang.org",
]
# SQL by hand steps around the sealed queryset, so only these parts of the kernel may write it.
RAW_SQL_ALLOWED = {"kernel/engine"}


@cache
def tracked() -> list[Path]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def under(folder: Path, *suffixes: str) -> list[Path]:
    return [path for path in tracked() if path.is_relative_to(folder) and path.suffix in suffixes]


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def place(path: Path, number: int) -> str:
    return f"{path.relative_to(ROOT)}:{number}"


@pytest.mark.parametrize(
    ("folder", "pattern", "most"),
    [(SOURCE, "**/*.py", 400), (SOURCE, "settings.py", 149), (ROOT, "Makefile", 40)],
)
def test_files_stay_short(folder: Path, pattern: str, most: int) -> None:
    found = {
        path: len(lines(path))
        for path in folder.glob(pattern)
        if path.parent.name != "migrations"  # written by Django, read by nobody
    }
    assert found
    assert {place(path, n): f"over {most} lines" for path, n in found.items() if n > most} == {}


def test_no_package_registry_is_named() -> None:
    named = re.compile("|".join(map(re.escape, REGISTRIES)), re.IGNORECASE)
    found = []
    for path in tracked():
        try:
            text = lines(path)
        except UnicodeDecodeError:
            continue  # an image or a font
        found += [place(path, n) for n, line in enumerate(text, 1) if named.search(line)]
    assert found == []


def test_every_locked_package_is_pinned_and_hashed() -> None:
    pinned = re.compile(r"[a-z0-9][a-z0-9.\-]*==[^ ;]+( ; .+)?")
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        entries = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        packages = [line for line in entries if line.strip() and not line.lstrip().startswith("#")]
        assert packages, lock.name
        for line in packages:
            name, *hashes = line.split(" --hash=")
            assert pinned.fullmatch(name.strip()), f"{lock.name}: {name}"
            assert hashes, f"{lock.name}: {name.strip()} has no hash"
            assert all(re.fullmatch(r"\s*sha256:[0-9a-f]{64}\s*", value) for value in hashes)


def test_tests_run_the_very_versions_a_node_runs() -> None:
    def versions(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^[a-z0-9][a-z0-9.\-]*==[^ \n]+", text, re.MULTILINE))

    assert versions("base.txt") <= versions("test.txt")


# What a strict content security policy would block, or what would call an outside host.
UNFIT = {
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)[^>]*>", re.IGNORECASE),
    "an inline style": re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE),
    "an event attribute": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "a script address": re.compile(r"javascript:", re.IGNORECASE),
    "an outside resource": re.compile(
        r"""<(?:script|link|img|iframe|source|audio|video|object|embed)\b[^>]*"""
        r"""\b(?:src|href|srcset|data)\s*=\s*["']?(?:https?:)?//""",
        re.IGNORECASE,
    ),
}
COMMENT = re.compile(r"\{#.*?#\}|\{% comment.*?endcomment %\}|<!--.*?-->", re.DOTALL)


def faults(page: str) -> Iterator[tuple[int, str]]:
    """Yield (line, fault) for everything in a template that the house does not allow."""
    # Comments are blanked, not cut, so that the lines after them keep their numbers.
    page = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), page)
    for fault, pattern in UNFIT.items():
        for found in pattern.finditer(page):
            yield page.count("\n", 0, found.start()) + 1, fault


def test_pages_carry_nothing_inline_and_call_no_outside_host() -> None:
    found = [
        f"{place(path, number)}: {fault}"
        for path in under(SOURCE, ".html", ".svg")
        if "templates" in path.parts
        for number, fault in faults(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<script>alert(1)</script>", "an inline script"),
        ('<p class="a" style="color:red">', "an inline style"),
        ('<button onclick="go()">', "an event attribute"),
        ('<a href="javascript:go()">', "a script address"),
        ('<link rel="stylesheet"\n href="//cdn.example/a.css">', "an outside resource"),
        ('<script src="https://cdn.example/a.js"></script>', "an outside resource"),
        ('<script src="{% static "ui/keys.js" %}"></script>', None),
        ('<a href="https://example.org">', None),
        ("{# <style> #}<p data-style=1>", None),
    ],
)
def test_the_search_for_unfit_pages_finds_them(page: str, fault: str | None) -> None:
    assert [found for _, found in faults(page)] == ([fault] if fault else [])


def raw_sql(code: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) for each way in `code` to reach the tables without the queryset."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"raw", "cursor", "RawSQL", "extra", "executescript"}:
                yield node.lineno, name


def test_only_named_parts_of_the_kernel_write_sql_by_hand() -> None:
    found = []
    for path in under(SOURCE, ".py"):
        part = path.relative_to(SOURCE).with_suffix("").as_posix()
        allowed = any(part == name or part.startswith(f"{name}/") for name in RAW_SQL_ALLOWED)
        if not allowed and not {"tests", "migrations"} & set(path.parts):
            code = path.read_text(encoding="utf-8")
            found += [f"{place(path, number)}: {name}" for number, name in raw_sql(code)]
    assert found == []


def test_the_search_for_raw_sql_finds_it() -> None:
    code = "Letter.objects.raw('…')\nwith connection.cursor() as c: ...\nRawSQL('…', [])\nx.rows()"
    assert sorted(raw_sql(code)) == [(1, "raw"), (2, "cursor"), (3, "RawSQL")]
