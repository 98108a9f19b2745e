"""`quantlab doctor`: what is installed, what is missing, what INT8 gains on this machine."""

from __future__ import annotations

import json as json_module

import typer

from quantlab.commands import options
from quantlab.commands.terminal import reporting_errors

EPILOG = """Examples:  quantlab doctor  |  quantlab doctor --json"""


def doctor(json: options.Json = False, debug: options.Debug = False) -> None:
    """Check the installation: versions, providers, CPU flags such as VNNI, and how to install what is missing."""
    with reporting_errors(debug=debug):
        from quantlab.doctor import diagnose

        diagnosis = diagnose()
        typer.echo(json_module.dumps(diagnosis.to_json(), indent=1) if json else str(diagnosis))
