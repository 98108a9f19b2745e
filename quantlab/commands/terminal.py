"""How commands meet the terminal: results on stdout, everything else on stderr, errors in one line."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from quantlab.commands.bars import shown_bar
from quantlab.errors import AnotherRankFailed, QuantlabError
from quantlab.progress import Advance, Progress, silent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from quantlab.report.report import Report

REPORT_WIDTH = 100
"""Columns of a report where stdout is no terminal."""

# What typer raises for wrong usage; it has bundled click since 0.26 and exports only this class of the family.
USAGE_ERROR = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "UsageError"
)


@contextlib.contextmanager
def reporting_errors(
    *, debug: bool, folder: Path | None = None, resume: bool = False, made: Sequence[Path] = ()
) -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code.

    Args:
        debug: whether to show the trace and the library's log too.
        folder: the folder of the run, if there is one; after Ctrl-C the line says what is kept there.
        resume: whether the command goes on from a checkpoint that is there.
        made: files that are whole, filled while the block runs; after Ctrl-C the line names them.
    """
    begun = 0.0 if resume else time.time()
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: not an error, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (typer.Exit, USAGE_ERROR):
        raise
    except AnotherRankFailed:
        raise typer.Exit(1) from None
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the last line of defence: one line, not a trace)
        if debug:
            traceback.print_exception(error)
        kept = _kept(folder, made, begun) if isinstance(error, KeyboardInterrupt) else ""
        typer.echo(f"quantlab: error: {_one_line(_message(error, kept))}", err=True)
        raise typer.Exit(error.exit_code if isinstance(error, QuantlabError) else 1) from None


def usage_message(error: Exception) -> str:
    """Return what typer says about wrong usage, in one line, and where the help is."""
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "quantlab")
    return f"{_one_line(said).rstrip('.')}; see {command} --help"


def progress_bars(*, quiet: bool) -> Progress:
    """Return what shows bars on stderr, or nothing if quiet or stderr is not a terminal."""
    return silent if quiet or not sys.stderr.isatty() else _bar


def print_result(result: Mapping[str, Any], render: Callable[[], RenderableType | str], *, as_json: bool) -> None:
    """Print a command's result on stdout: its JSON and nothing else, or what a person reads.

    Args:
        result: plain values.
        render: makes lines of text, or what rich prints; 100 columns where stdout is no terminal.
        as_json: which of the two.
    """
    if as_json:
        typer.echo(json.dumps(result, indent=1, allow_nan=False))
        return
    from rich.console import Console

    from quantlab.report.prose import Prose

    made = render()
    shown = Prose(made, hang=4) if isinstance(made, str) else made
    is_terminal = sys.stdout.isatty()
    plain: Mapping[str, Any] = {} if is_terminal else {"width": REPORT_WIDTH, "color_system": None}
    console = Console(highlight=False, **plain)
    with console.capture() as capture:
        console.print(shown, crop=False)
    lines = capture.get().rstrip().splitlines()
    typer.echo("\n".join(lines if is_terminal else map(str.rstrip, lines)))


def print_report(report: Report, folder: Path | None, *, as_json: bool) -> None:
    """Print the report of a run that was just done.

    Args:
        report: of the run.
        folder: where its files are, or None.
        as_json: whether as JSON.

    Raises:
        EngineError: a plan was asked for and could not be built; all else is printed and written all the same.
    """
    from quantlab.errors import EngineError
    from quantlab.report.built import build_faults
    from quantlab.report.to_terminal import render

    print_result(report.content, lambda: render(report, folder=folder), as_json=as_json)
    for fault in build_faults(report.content):
        raise EngineError(f"{fault}; all else of the run is in {folder}")


@contextlib.contextmanager
def _bar(label: str, total: int | None) -> Iterator[Advance]:
    with shown_bar(label, total) as bar:

        def advance(units: int) -> None:
            bar.update(units)

        yield advance


def _message(error: BaseException, kept: str) -> str:
    if isinstance(error, QuantlabError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {kept}"
    if isinstance(error, MemoryError):
        return "out of memory; lower --batch-size or --memory-cap-mb"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return f"a fault in quantlab: {type(error).__name__}: {error}; --debug shows where"


def _kept(folder: Path | None, made: Sequence[Path], begun: float) -> str:
    """Return what is left of an interrupted command, and how to go on from there; checkpoints before `begun` are not.

    An older checkpoint is of another training, which this one would have written over.
    """
    from quantlab.run_folder import CHECKPOINT, kept_statistics

    if made:
        return f"{', '.join(map(str, made))} {'is' if len(made) == 1 else 'are'} whole"
    if folder is None:
        return "nothing was kept"
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists() and checkpoint.stat().st_mtime >= begun:
        return f"the epochs done are in {checkpoint}; the same command with --resume goes on from there"
    place, samples = kept_statistics(folder, begun)
    if not samples:
        return "nothing was kept"
    return f"the statistics of {samples} samples are in {place}; the same command goes on from there"


def _one_line(message: str) -> str:
    return " ".join(message.split())
