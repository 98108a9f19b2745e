"""Reports → pages of HTML that open from disk, in any browser, without a network."""

from __future__ import annotations

from quantlab.report.html.joined import joined_sections, joined_to_html
from quantlab.report.html.page import to_html
from quantlab.report.html.shell import page_of

__all__ = ["joined_sections", "joined_to_html", "page_of", "to_html"]
