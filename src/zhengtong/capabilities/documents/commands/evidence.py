"""One file with which anyone can check a document's road, offline and without us."""

from __future__ import annotations

from pathlib import PurePath

from zhengtong.capabilities.documents.commands.sending import file_refs
from zhengtong.capabilities.documents.models import Delivery, Document, Incoming
from zhengtong.kernel import files
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.messages import proof
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.wire.evidence import EvidenceFile


@command("documents.export_evidence", title="导出证据文件")
def export_evidence(act: Act, document: Document) -> bytes:
    """The letters, receipts, files and sealed audit entries about a document, for `verify`."""
    urns = [
        *(item.urn for item in Incoming.objects.visible_to(act.actor).filter(document=document)),
        *(item.urn for item in Delivery.objects.visible_to(act.actor).filter(document=document)),
    ]
    return proof.bundle(
        document.title, document.urn, urns, [_file(item) for item in file_refs(document)]
    )


def _file(reference: FileRef) -> EvidenceFile:
    with files.open_file(reference.sha256) as stream:
        return EvidenceFile(PurePath(reference.name).name, stream.read())
