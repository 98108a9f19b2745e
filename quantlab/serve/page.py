"""Sections → a page of the server: the report's style sheet and scripts, and a bar that leads from page to page.

Unlike a report a page is not alone: style and scripts are files of the server, so the content security policy lets
nothing run or shine that stands in the page itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, to_markup
from quantlab.report.html.shell import read_asset

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a page may do: show and run files of this server, and send forms to it."""

STYLES = {"style.css": "report", "serve.css": "serve"}
SCRIPTS = {"remember.js": "serve", "theme.js": "report", "tables.js": "report", "choose.js": "serve"}
"""The server's files, in the order they are loaded, by where they come from."""

Place = tuple[str, str | None]
"""What a link is called, and where it leads; None where one is already."""


def asset(name: str) -> str:
    """Return a style sheet or script.

    Raises:
        KeyError: it is none of `STYLES` and `SCRIPTS`.
    """
    if {**STYLES, **SCRIPTS}[name] == "report":
        return read_asset(name)
    return (resources.files("quantlab.serve") / "assets" / name).read_text("utf-8")


def page(title: str, sections: Iterable[Child], *, places: Sequence[Place] = ()) -> str:
    """Return a page of HTML.

    Args:
        title: of the window.
        sections: what is in it, in order; None is left out.
        places: the way here from the list of runs.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        *(element("link", rel="stylesheet", href=f"/assets/{name}") for name in STYLES),
        element("script", src="/assets/remember.js"),
    )
    scripts = [element("script", src=f"/assets/{name}") for name in SCRIPTS if name != "remember.js"]
    theme = element("button", "Dark", type="button", id="theme", hidden="hidden")
    body = element("body", theme, _bar(places), element("main", *sections), *scripts)
    return f"<!DOCTYPE html>\n{to_markup([element('html', head, body, lang='en')])}"


def address(path: str, **parameters: str | Sequence[str]) -> str:
    """Return a path of the server with its parameters."""
    return f"{path}?{urlencode(parameters, doseq=True)}"


def _bar(places: Sequence[Place]) -> Element:
    links = [
        element("li", element("a", name, href=target) if target else element("span", name, aria_current="page"))
        for name, target in (("Runs", "/" if places else None), *places)
    ]
    return element("nav", element("ul", *links), class_="bar-of-places", aria_label="Where you are")
