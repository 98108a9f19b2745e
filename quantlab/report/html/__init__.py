"""A report → one page of HTML that opens from disk, in any browser, without a network."""

from __future__ import annotations

from quantlab.report.html.page import to_html

__all__ = ["to_html"]
