"""`quantlab report`: show finished runs again, one alone or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

if TYPE_CHECKING:
    from quantlab.report.report import Report

SHORT_HELP = "Show finished runs again, one alone or several side by side."
EPILOG = """\b
Examples:
  quantlab report runs/digits-entropy
  quantlab report runs/digits-entropy --format html --out digits.html
  quantlab report runs/digits-entropy runs/digits-mse --format markdown
"""

RunPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR...",
        help="Folders of runs, or their report.json; others are compared with the first.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        autocompletion=completion.formats,
        help="terminal, html (one page that any browser opens), markdown (for a pull request) or csv.",
    ),
]
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there, not to stdout.")]


def report(
    paths: RunPaths,
    format_name: Format = "terminal",
    out: OutFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show finished runs again; nothing is computed anew.

    Several runs are joined: every model of every run, and how its accuracy differs from the first run's, paired
    sample by sample where both were judged on the same samples.
    """
    with reporting_errors(debug=debug):
        from quantlab.recipe import check_name
        from quantlab.report.joining import load_runs

        check_name("--format", format_name, FORMATS)
        if json and format_name != "terminal":
            raise typer.BadParameter("it and --format exclude each other; leave one of them out", param_hint="--json")
        bars = progress_bars(quiet=quiet)
        with bars("reading runs", 1):
            runs = load_runs(paths)
        if out is not None and (json or format_name == "terminal"):
            raise typer.BadParameter("a file takes a format: --format html, markdown or csv", param_hint="--out")
        if format_name in _WRITERS and not json:
            with bars(f"writing {format_name}", 1):
                text = _WRITERS[format_name](runs)
            _write(text, out)
        else:
            _show(paths, runs, as_json=json)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    from quantlab.run_folder import write_text

    write_text(out, text)


def _show(paths: Sequence[Path], runs: Mapping[str, Report], *, as_json: bool) -> None:
    if len(runs) == 1:
        from quantlab.report.to_terminal import render

        (one,), (path,) = runs.values(), paths
        folder = path if path.is_dir() else path.parent
        print_result(one.content, lambda: render(one, folder=folder), as_json=as_json)
        return
    from quantlab.report.joined_text import render_joined
    from quantlab.report.joining import join

    joined = join(runs)
    print_result(joined.to_json(), lambda: render_joined(joined), as_json=as_json)


def _page(runs: Mapping[str, Report]) -> str:
    from quantlab.report.html import joined_to_html, to_html
    from quantlab.report.joining import join

    return to_html(next(iter(runs.values()))) if len(runs) == 1 else joined_to_html(join(runs))


def _markdown(runs: Mapping[str, Report]) -> str:
    from quantlab.report.joined_text import to_markdown
    from quantlab.report.joining import join

    return to_markdown(join(runs))


def _csv(runs: Mapping[str, Report]) -> str:
    from quantlab.report.joined_text import to_csv
    from quantlab.report.joining import join

    return to_csv(join(runs))


_WRITERS: Mapping[str, Callable[[Mapping[str, Report]], str]] = {"html": _page, "markdown": _markdown, "csv": _csv}
FORMATS = ("terminal", *_WRITERS)
"""What `--format` takes."""
