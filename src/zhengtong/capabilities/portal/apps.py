"""政府网站 as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "zhengtong.capabilities.portal"
    label = "portal"
    verbose_name = "政府网站"

    def ready(self) -> None:
        from zhengtong.capabilities.portal.capability import CAPABILITY
        from zhengtong.kernel.capability import register

        register(CAPABILITY)
