"""Pages and snippets of the design system, rendered without any face around them."""

from collections.abc import Callable

import pytest
from django.template import Context, Engine
from django.test import RequestFactory, override_settings

from zhengtong.ui.styleguide import styleguide

# No context processor of a face: whatever a layout needs is given by the page.
ALONE = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]


@pytest.fixture(scope="session")
def page() -> Callable[[str], str]:
    """Render the style guide (``""``) or one of its sample pages to HTML."""

    def render(sample: str = "") -> str:
        with override_settings(TEMPLATES=ALONE):
            request = RequestFactory().get("/styleguide", {"sample": sample} if sample else {})
            return styleguide(request).content.decode()

    return render


@pytest.fixture(scope="session")
def draw() -> Callable[..., str]:
    """Render a snippet of template source with the tags loaded."""
    engine = Engine(
        app_dirs=True,
        libraries={
            "ui": "zhengtong.ui.templatetags.ui",
            "i18n": "django.templatetags.i18n",
            "l10n": "django.templatetags.l10n",
        },
    )

    def render(source: str, **context: object) -> str:
        return engine.from_string("{% load ui %}" + source).render(Context(context))

    return render
