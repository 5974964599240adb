"""Django settings, all derived from the one `node.toml`; nothing else reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from zhengtong.kernel.labels import Zone
from zhengtong.kernel.node import Node, load

NODE: Node = load(Path(os.environ.get("ZHENGTONG_NODE", "node.toml")).resolve())


def _secret() -> str:
    """The cookie and form secret: 0600 beside the node's keys, made by `zhengtong init`."""
    path = NODE.keys / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(os.urandom(32).hex())
    return path.read_text()


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # Asserted at start by kernel.engine.assert_engine.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA foreign_keys=ON; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;"
                "PRAGMA secure_delete=ON",  # what is withdrawn is overwritten, not just unlinked
            },
            "TEST": {"NAME": f"{url.removeprefix('sqlite:///')}.test"},
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"options": "-c lock_timeout=20s"},  # busy is said, not waited out
    }


SECRET_KEY = _secret()
DEBUG = False
ALLOWED_HOSTS = list(NODE.hosts)
DATABASES = {"default": _database(NODE.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A node in the public zone runs the portal and nothing of the office: what is not there
# cannot leak.
INSTALLED_APPS = [
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "zhengtong.kernel",
    "zhengtong.ui",
    "zhengtong.faces.office",
    "zhengtong.capabilities.documents",
    "zhengtong.capabilities.portal",
]
PUBLIC_FACE = NODE.zone is Zone.PUBLIC

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "zhengtong.faces.middleware.ContentSecurity",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "zhengtong.faces.middleware.SignedIn",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "zhengtong.faces.middleware.PlainErrors",
]
ROOT_URLCONF = "zhengtong.faces.urls"
WSGI_APPLICATION = "zhengtong.faces.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["zhengtong.faces.context.shell"]},
    }
]

AUTH_USER_MODEL = "kernel.Person"
AUTHENTICATION_BACKENDS = ["zhengtong.kernel.directory.signin.Backend"]
PASSWORD_HASHERS = ["zhengtong.kernel.directory.passwords.Argon2"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
# Cookies do not tell ports apart; each node names its own, so one browser may sign in to several.
SESSION_COOKIE_NAME = f"session-{NODE.name}"
CSRF_COOKIE_NAME = f"csrf-{NODE.name}"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = NODE.url.startswith("https://")
CSRF_TRUSTED_ORIGINS = [NODE.url]
CSRF_FAILURE_VIEW = "zhengtong.faces.errors.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "zh-hans"
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = NODE.home / "static"
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.AppDirectoriesFinder"]

NODE.run.mkdir(parents=True, exist_ok=True)
FILE_UPLOAD_TEMP_DIR = NODE.run
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django.request": {"level": "ERROR"}},
}
