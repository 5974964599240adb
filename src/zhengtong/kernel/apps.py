"""The kernel as a Django application: one set of tables for the whole house."""

from __future__ import annotations

from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "zhengtong.kernel"
    label = "kernel"
    verbose_name = "内核"

    def ready(self) -> None:
        # So that every process knows these commands, facts and reactions.
        from zhengtong.kernel.membership import reactions  # noqa: F401
        from zhengtong.kernel.membership.commands import joining, standing  # noqa: F401
