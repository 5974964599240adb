"""Handing out the files of a document to those who may see the document."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands.evidence import export_evidence
from zhengtong.capabilities.documents.web.pages import actor_of
from zhengtong.kernel import files
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.errors import NotFound

# A file never runs anything in our name, whatever is in it. A browser's own PDF reader does not
# start in a sandbox, and runs nothing of the page's.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
SANDBOX = f"sandbox; {POLICY}"
INLINE = "application/pdf"


@require_GET
def download(request: HttpRequest, pk: UUID, sha256: str) -> FileResponse:
    """One file of a visible document: a PDF in the browser, anything else to be saved.

    `?download=1` saves a PDF too. Raises NotFound for a file that is not this document's.
    """
    document = must_find(queries.documents(actor_of(request)), pk=pk)
    name, media_type = _described(document, sha256)
    try:
        stream = files.open_file(sha256)
    except FileNotFoundError as error:
        raise NotFound(f"“{name}”还没有传到本节点，请稍后再试。") from error
    inline = media_type == INLINE and not request.GET.get("download")
    response = FileResponse(
        stream, as_attachment=not inline, filename=name, content_type=media_type
    )
    response.headers["Content-Security-Policy"] = POLICY if inline else SANDBOX
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@require_GET
def evidence(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The evidence file of a document, to be checked by `zhengtong verify` anywhere."""
    actor = actor_of(request)
    document = must_find(queries.documents(actor), pk=pk)
    response = HttpResponse(
        export_evidence(actor, document), content_type="application/octet-stream"
    )
    name = f"{document.title}-证据文件.cbor"
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or ""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _described(document: Any, sha256: str) -> tuple[str, str]:
    """The name and media type under which a document carries this file."""
    if document.rendition_id == sha256 and document.rendition is not None:
        return f"{document.title}.pdf", document.rendition.media_type
    for item in queries.attachments(document):
        if item.file_id == sha256:
            return item.name, item.file.media_type
    raise NotFound("没有找到这个文件，或您无权查看。")
