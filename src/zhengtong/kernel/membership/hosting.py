"""Organisations that other nodes host, as directories make them known here."""

from __future__ import annotations

from collections.abc import Iterable

from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.models import Kind, Organisation, OrganisationVersion
from zhengtong.wire.directory import Hosted


def register(act: Act, node: str, organisations: Iterable[Hosted]) -> None:
    """Add the organisations of a node that are unknown here; the part of a command.

    What is known stays as it is: a directory names organisations, it does not move them from one
    node to another. One whose code belongs to another, or whose kind is unknown, is left out and
    noted.
    """
    left_out = []
    for item in organisations:
        if Organisation.objects.filter(pk=item.id).exists():
            continue
        if item.kind not in Kind.values or Organisation.objects.filter(code=item.code).exists():
            left_out.append(str(item.id))
            continue
        made = Organisation(
            id=item.id,
            code=item.code,
            name=item.name,
            short_name=item.short_name,
            kind=item.kind,
            node=node,
        )
        made.save(force_insert=True)
        OrganisationVersion.objects.create(
            organisation=made, code=made.code, name=made.name, valid_from=made.valid_from
        )
    if left_out:
        act.note(left_out=left_out)
