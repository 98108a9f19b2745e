"""`quantlab report`: show a finished run again."""

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
"""

RunPath = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run, or its report.json.")]


def report(path: RunPath, json: options.Json = False, debug: options.Debug = False) -> None:
    """Show the report of a finished run again; nothing is computed anew."""
    with reporting_errors(debug=debug):
        from quantlab.report.report import Report
        from quantlab.report.to_terminal import render

        loaded = Report.load(path)
        folder = path if path.is_dir() else path.parent
        print_result(loaded.content, lambda: render(loaded, folder=folder), as_json=json)
