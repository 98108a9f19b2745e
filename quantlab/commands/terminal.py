"""How commands meet the terminal: results on stdout, everything else on stderr, errors in one line."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from quantlab.errors import QuantlabError
from quantlab.progress import Advance, Progress, silent
from quantlab.report.report import Report

if TYPE_CHECKING:
    from rich.console import RenderableType

REPORT_WIDTH = 100


@contextlib.contextmanager
def reporting_errors(*, debug: bool) -> Iterator[None]:
    """Turn errors into one line on stderr and exit code 1; with `debug`, show the trace and the library's log."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    try:
        yield
    except QuantlabError as error:
        _stop(_one_line(str(error)), error, debug=debug, code=error.exit_code)
    except KeyboardInterrupt as error:
        _stop("interrupted; nothing half-written was left, run the same command to go on", error, debug=debug)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: not an error, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except MemoryError as error:
        _stop("out of memory; lower --batch-size and --memory-cap-mb", error, debug=debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _stop(f"{where}{error.strerror or error}", error, debug=debug)
    except Exception as error:  # noqa: BLE001 (the last line of defence: a user sees one line, not a trace)
        kind = type(error).__name__
        _stop(f"a fault in quantlab: {kind}: {_one_line(str(error))}; --debug shows where", error, debug=debug)


def _stop(message: str, error: BaseException, *, debug: bool, code: int = 1) -> None:
    if debug:
        raise error
    typer.echo(f"quantlab: error: {message}", err=True)
    raise typer.Exit(code) from None


def _one_line(message: str) -> str:
    return " ".join(message.split())


def progress_bars(*, quiet: bool) -> Progress:
    """Return what shows tqdm bars on stderr, or nothing if quiet or stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        return silent
    return _tqdm_bar


@contextlib.contextmanager
def _tqdm_bar(label: str, total: int | None) -> Iterator[Advance]:
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit="", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:

        def advance(units: int) -> None:
            bar.update(units)

        yield advance


def show_report(report: Report, folder: Path | None, *, as_json: bool) -> None:
    """Print a report on stdout: as JSON, or as a person reads it."""
    if as_json:
        typer.echo(report.to_json())
        return
    from quantlab.report.to_terminal import render

    print_renderables(render(report, folder=folder))


def print_renderables(*renderables: RenderableType) -> None:
    """Print what rich can show on stdout; 100 columns where that is no terminal."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH, highlight=False)
    console.print(*renderables)
