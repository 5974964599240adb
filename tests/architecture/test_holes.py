"""Ways around the sealed queryset that the seal itself cannot see, found in the source.

`zhengtong.kernel.records` refuses to compile a labelled query that named no reader. What remains is
code that leaves that query out: Django's private managers, hand-made queries, and lookups that walk
from some other table over a foreign key into a labelled one. Raw SQL is held by `test_house`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps

from zhengtong.kernel.records import Record

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "zhengtong"

PRIVATE = {
    "_base_manager": "Django's own manager",
    "_default_manager": "Django's own manager",
    "_raw_delete": "deletes without asking",
    "_update": "updates without asking",
    "get_compiler": "compiles a query by hand",
    "unsealed": "breaks the seal by hand",
    "_unseal": "breaks the seal by hand",
}
# A lookup that ends on the key itself reads nothing of the other row.
OF_THE_KEY = {"in", "isnull", "exact", "pk", "id"}
MAKES_QUERIES = {"Query", "UpdateQuery", "DeleteQuery", "AggregateQuery"}
JOINS = {"select_related", "prefetch_related"}

ALLOWED = {
    ("kernel/records.py", "get_compiler"): "the seal itself",
    ("kernel/records.py", "unsealed"): "the seal itself",
    ("kernel/records.py", "_unseal"): "the seal itself",
    ("kernel/messages/purge.py", "_base_manager"): "asks every table for a file, labelled ones too",
    ("kernel/messages/purge.py", "_raw_delete"): "a stored file is no labelled row",
    ("capabilities/documents/queries.py", "document"): (
        "an incoming record bears its document's label, and its owner holds the addressee's grant;"
        " of one that was recalled the pages show no more than its number and its issuer"
    ),
}


def keys_into_records() -> frozenset[str]:
    """The names of all foreign keys that lead to a labelled table."""
    return frozenset(
        field.name
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field.related_model, type) and issubclass(field.related_model, Record)
    )


def walks(lookup: str, keys: frozenset[str]) -> str | None:
    """The foreign key by which a lookup such as `-document__title` enters a labelled table."""
    parts = lookup.lstrip("-").split("__")
    for position, part in enumerate(parts[:-1]):
        if part in keys and parts[position + 1] not in OF_THE_KEY:
            return part
    return None


def holes(code: str, keys: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, what) for every way around the seal in a source text."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Attribute(attr=name) if name in PRIVATE:
                yield node.lineno, name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sql"), attr=name)) if (
                name in MAKES_QUERIES
            ):
                yield node.lineno, name
            case ast.Call(func=ast.Name(id=name)) if name in MAKES_QUERIES:
                yield node.lineno, name
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in JOINS:
                for argument in arguments:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        for part in argument.value.split("__"):
                            if part in keys:
                                yield node.lineno, part
            case ast.keyword(arg=str(lookup)) if key := walks(lookup, keys):
                yield node.value.lineno, key
            case ast.Constant(value=str(lookup)) if (
                lookup.isascii() and " " not in lookup and (key := walks(lookup, keys))
            ):
                yield node.lineno, key


def sources() -> list[Path]:
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if not {"tests", "migrations"} & set(path.relative_to(SOURCE).parts)
    ]


@cache
def found_in_source() -> dict[tuple[str, str], list[int]]:
    keys = keys_into_records()
    found: dict[tuple[str, str], list[int]] = {}
    for path in sources():
        part = path.relative_to(SOURCE).as_posix()
        for line, what in holes(path.read_text(encoding="utf-8"), keys):
            found.setdefault((part, what), []).append(line)
    return found


def test_no_source_file_goes_around_the_seal() -> None:
    faults = [
        f"src/zhengtong/{part}:{lines[0]}: {what} ({PRIVATE.get(what, 'enters a labelled table')})"
        for (part, what), lines in found_in_source().items()
        if (part, what) not in ALLOWED
    ]
    assert faults == []


def test_every_exception_is_still_needed_and_has_its_reason() -> None:
    assert set(ALLOWED) <= set(found_in_source())
    assert all(len(reason) > 10 for reason in ALLOWED.values())


def test_the_keys_into_labelled_tables_are_known() -> None:
    assert {"document", "case"} <= keys_into_records()


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("rows = Document._base_manager.all()", "_base_manager"),
        ("rows = Document.objects.none()\nrows.query.unsealed = True", "unsealed"),
        ("Document.objects.all()._raw_delete('default')", "_raw_delete"),
        ("from django.db.models import sql\nq = sql.Query(Document)", "Query"),
        ("Attachment.objects.filter(document__title='机密')", "document"),
        ("Attachment.objects.filter(Q(document__title__contains='密'))", "document"),
        ("Attachment.objects.values('name', 'document__title')", "document"),
        ("Attachment.objects.order_by('-document__title')", "document"),
        ("Attachment.objects.annotate(t=F('document__title'))", "document"),
        ("Attachment.objects.select_related('file', 'document')", "document"),
        ("Step.objects.prefetch_related('case')", "case"),
        ("Step.objects.values('case__subject__document__title')", "case"),
    ],
)
def test_a_planted_hole_is_found(planted: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "queries.py"
    file.write_text(planted, encoding="utf-8")
    keys = frozenset({"document", "case"})
    assert {name for _, name in holes(file.read_text(encoding="utf-8"), keys)} == {what}


@pytest.mark.parametrize(
    "harmless",
    [
        "Attachment.objects.filter(document=document)",
        "Attachment.objects.filter(document__in=mine)",
        "Attachment.objects.values('document')",
        "Attachment.objects.select_related('file')",
        "url = '/documents/case__/'",
        "message = 'the document__title of a case'",
    ],
)
def test_what_reads_only_the_key_is_no_hole(harmless: str) -> None:
    assert list(holes(harmless, frozenset({"document", "case"}))) == []
