"""Sections + data + scripts of this folder → one self-contained page.

The page asks for nothing from outside, and its content security policy lets no script run but those of this folder,
named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import element, to_data, to_markup

SCRIPTS = ("theme.js", "tables.js")
"""What every page runs."""


def page_of(
    title: str,
    sections: Iterable[Element],
    *,
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> str:
    """Return a page of HTML.

    Args:
        title: of the window.
        sections: what is in it, in order.
        data: plain values that the scripts read.
        scripts: names of further scripts in this folder, in the order they run.
        styles: names of further style sheets in this folder.
    """
    texts = [read_asset(name) for name in (*SCRIPTS, *scripts)]
    return Template(read_asset("page.html")).substitute(
        title=to_markup([element("title", title)]),
        policy=" ".join(f"'sha256-{_hash(text)}'" for text in texts),
        style="\n".join(read_asset(name) for name in (*styles, "style.css")),
        body=to_markup(sections),
        data=to_data(data or {}),
        scripts="\n".join(f"<script>{text}</script>" for text in texts),
    )


def read_asset(name: str) -> str:
    """Return a file of this folder as text."""
    return (resources.files("quantlab.report.html") / name).read_text("utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
