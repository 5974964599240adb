"""The office face as a Django application, so that its templates are found."""

from __future__ import annotations

from django.apps import AppConfig


class OfficeFaceConfig(AppConfig):
    name = "zhengtong.faces.office"
    label = "office_face"
    verbose_name = "办公界面"
