"""Checks before every answer, and headers on it: only this machine's own pages may ask.

A name that an attacker's server lets point to 127.0.0.1 (DNS rebinding) shows in the Host header; a page of another
site that sends a request here shows in Origin and in Sec-Fetch-Site.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden

from quantlab.serve.page import POLICY

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names of this machine."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, a browser names no origin of its own forms either
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def add_guard(app: Flask) -> None:
    """Let an application answer this machine only, with a content security policy on every answer."""

    @app.before_request
    def check() -> None:
        if request.remote_addr not in (None, *HOSTS):
            raise Forbidden("This server answers its own machine only.")
        if _host(f"//{request.host}") not in HOSTS:
            raise Forbidden("This server is called localhost or 127.0.0.1, and answers to no other name.")
        origin = request.headers.get("Origin")
        is_foreign = origin is not None and urlsplit(origin).netloc != request.host
        if is_foreign or _is_hidden_request_of_another_site():
            raise Forbidden("Pages of other sites may not use this server.")

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in {"Content-Security-Policy": POLICY, **_HEADERS}.items():
            response.headers.setdefault(name, value)
        return response


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # brackets that do not close
        return None


def _is_hidden_request_of_another_site() -> bool:
    """Whether another site asks by a picture, a script or a form; a link that somebody follows is no such thing."""
    is_elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return is_elsewhere and not is_link
