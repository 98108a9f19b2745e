"""`quantlab report`: show a finished run again, or write it as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.terminal import print_result, reporting_errors

SHORT_HELP = "Show the report of a finished run again."
EPILOG = """\b
Examples:
  quantlab report runs/digits-entropy
  quantlab report runs/digits-entropy --html digits.html
"""

RunPath = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run, or its report.json.")]
HtmlPath = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report there too, as one page that any browser opens."),
]


def report(path: RunPath, html: HtmlPath = None, json: options.Json = False, debug: options.Debug = False) -> None:
    """Show the report of a finished run again; nothing is computed anew."""
    with reporting_errors(debug=debug):
        from quantlab.report.report import Report
        from quantlab.report.to_terminal import render

        loaded = Report.load(path)
        if html is not None:
            from quantlab.report.html import to_html
            from quantlab.run_folder import write_text

            write_text(html, to_html(loaded))
        folder = path if path.is_dir() else path.parent
        print_result(loaded.content, lambda: render(loaded, folder=folder), as_json=json)
