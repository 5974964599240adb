"""The Django app that carries templates, tags and static files; it has no tables."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "zhengtong.ui"
    label = "ui"
    verbose_name = "界面"
