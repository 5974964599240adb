"""Signing in and out."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from zhengtong.faces.middleware import SIGN_IN
from zhengtong.kernel import moment
from zhengtong.kernel.directory import sessions, signin
from zhengtong.kernel.directory.actors import person_actor
from zhengtong.kernel.directory.models import Person
from zhengtong.kernel.errors import Denied


class SignInForm(forms.Form):
    """Name and password. The name survives a mistake, the password never does."""

    use_required_attribute = False

    name = forms.CharField(
        label="用户名",
        max_length=40,
        error_messages={"required": "请填写用户名。"},
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="口令",
        max_length=200,
        strip=False,
        error_messages={"required": "请填写口令。"},
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    next = forms.CharField(required=False, widget=forms.HiddenInput)


@login_not_required
@sensitive_post_parameters("password")
@sensitive_variables("form")
def sign_in(request: HttpRequest) -> HttpResponse:
    """Open a session for whoever gives the right name and password."""
    if request.method != "POST":
        form = SignInForm(initial={"next": request.GET.get("next", "")})
        return render(request, "face/sign_in.html", {"form": form})
    form = SignInForm(request.POST)
    if not form.is_valid():
        return _again(request, form, 422)
    name, address = form.cleaned_data["name"], request.META.get("REMOTE_ADDR", "")
    try:
        person = signin.check(name, form.cleaned_data["password"], address)
    except Denied as denial:
        sessions.failed(name, address, denial.message)
        form.add_error(None, denial.message)
        return _again(request, form, denial.status)
    if outstanding := signin.factors_outstanding(person, frozenset({"password"})):
        raise Denied(f"还须完成第二重身份验证（{'、'.join(outstanding)}）才能登录。")
    _open(request, person)
    return HttpResponseRedirect(_same_site(request, form.cleaned_data["next"]))


def _again(request: HttpRequest, form: SignInForm, status: int) -> HttpResponse:
    return render(request, "face/sign_in.html", {"form": form}, status=status)


def _open(request: HttpRequest, person: Person) -> None:
    """A session under a fresh key: whoever knew the old one gains nothing."""
    request.session.flush()
    login(request, person, backend=settings.AUTHENTICATION_BACKENDS[0])
    now = moment.now().isoformat()
    request.session["signed_in"] = request.session["seen"] = now
    request.session.save()
    actor = person_actor(person, address=request.META.get("REMOTE_ADDR", ""))
    ended = sessions.opened(actor, request.session.session_key or "")
    if ended:
        request.session["said"] = {
            "text": f"同时登录最多 {signin.SESSIONS_PER_PERSON} 处，最早的 {ended} 处已退出。",
            "details": [],
            "tone": "wait",
        }


def _same_site(request: HttpRequest, url: str) -> str:
    """`url` if it stays on this site, else the home page."""
    safe = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if safe and not url.startswith(SIGN_IN) else "/"


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session, on the server too."""
    actor = request.actor  # type: ignore[attr-defined]
    if not actor.anonymous:
        sessions.closed(actor, request.session.session_key or "")
    logout(request)
    return HttpResponseRedirect(SIGN_IN)
