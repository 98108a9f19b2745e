"""`quantlab doctor`: what is installed, what is missing, what INT8 gains on this machine."""

from __future__ import annotations

import typer

from quantlab.commands import options
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

SHORT_HELP = "Check the installation and what INT8 gains on this machine."
EPILOG = """\b
Examples:
  quantlab doctor
  quantlab doctor --json
"""


def doctor(json: options.Json = False, quiet: options.Quiet = False, debug: options.Debug = False) -> None:
    """Check the installation: versions, providers, CPU flags such as VNNI, and how to install what is missing.

    The exit code is 1 if something is broken, 0 if only options are missing.
    """
    with reporting_errors(debug=debug):
        from quantlab.doctor import diagnose

        with progress_bars(quiet=quiet)("looking at the installation", 1):
            diagnosis = diagnose()
        print_result(diagnosis.to_json(), lambda: str(diagnosis), as_json=json)
        if any(finding.status == "problem" for finding in diagnosis.findings):
            raise typer.Exit(1)
