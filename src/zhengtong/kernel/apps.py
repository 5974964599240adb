"""The kernel as a Django application: one set of tables for the whole house."""

from __future__ import annotations

from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "zhengtong.kernel"
    label = "kernel"
    verbose_name = "内核"
