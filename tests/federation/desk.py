"""An officer at a running node, who looks at its pages."""

from __future__ import annotations

from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

from tests import build
from tests.federation.city import Site
from tests.office.conftest import token


class Desk:
    """A browser in which this person has signed in through the node's own form."""

    def __init__(self, site: Site, name: str) -> None:
        self.address = f"http://127.0.0.1:{site.port}"
        self.browser = build_opener(HTTPCookieProcessor(CookieJar()))
        form = {
            "name": name,
            "password": build.PASSWORD,
            "csrfmiddlewaretoken": token(self.page("/sign-in")),
        }
        with self.browser.open(f"{self.address}/sign-in", urlencode(form).encode()) as answer:
            assert answer.url.endswith("/"), answer.url

    def page(self, path: str) -> str:
        with self.browser.open(f"{self.address}{path}") as answer:
            return str(answer.read().decode())
