"""The command line: the list of commands. Each is a file of `quantlab.commands`."""

from __future__ import annotations

from typing import Annotated

import typer

from quantlab.commands import cache, compare, diff, doctor, evaluate, inspect, ptq, run

app = typer.Typer(
    name="quantlab",
    help="Turn a trained float network into an INT8 network that a runtime really runs in INT8.",
    epilog="Start with:  quantlab ptq",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("ptq", epilog=ptq.EPILOG)(ptq.ptq)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("diff", epilog=diff.EPILOG)(diff.diff)
app.command("inspect", epilog=inspect.EPILOG)(inspect.inspect)
app.command("run", epilog=run.EPILOG)(run.run)
app.add_typer(cache.app, name="cache")
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)


@app.callback(invoke_without_command=True)
def _quantlab(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"quantlab {version_of('quantlab')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; the exit code is 0 ok, 1 an error, 2 wrong usage."""
    app()
