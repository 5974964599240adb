"""公文 as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "zhengtong.capabilities.documents"
    label = "documents"
    verbose_name = "公文"

    def ready(self) -> None:
        from zhengtong.capabilities.documents.capability import CAPABILITY
        from zhengtong.kernel.capability import register

        register(CAPABILITY)
