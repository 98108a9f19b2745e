"""The command line: `main` takes the arguments and runs one command; each command is a file of `quantlab.commands`.

Exit codes, the same for every command:

    0   done
    1   an error: a model, data, a runtime or the output folder is not as it must be; a fault found by `doctor`; Ctrl-C,
        or another signal that asks a process to end
    2   usage: an option, an argument or a setting cannot be meant, such as `--calibrator entrpy`, `--samples 0` or a
        recipe with an unknown setting (`RecipeError`)

Results go to stdout and nothing else does. An error is one line on stderr that says what is wrong, where, and what to
do. Progress bars are on stderr too, and only where that is a terminal.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: what follows `quantlab`; None for what the shell handed over.
    """
    try:
        with _ending_in_order():
            return _run(build_app(), sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before a command had begun
        sys.stderr.write("quantlab: error: interrupted\n")
        return 1


def build_app() -> typer.Typer:
    """Return the commands. Nothing is imported before `main` can catch a Ctrl-C."""
    import typer

    from quantlab.commands import (
        audit,
        build,
        cache,
        compare,
        diff,
        doctor,
        evaluate,
        inspect,
        lint,
        ptq,
        qat,
        report,
        run,
        serve,
        start,
    )

    app = typer.Typer(
        name="quantlab",
        help="Turn a trained float network into an INT8 network that a runtime really runs in INT8.",
        epilog=start.EPILOG,
        context_settings={"max_content_width": 100},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(start.start)
    for module, command in (
        (ptq, ptq.ptq),
        (qat, qat.qat),
        (compare, compare.compare),
        (evaluate, evaluate.evaluate),
        (diff, diff.diff),
        (inspect, inspect.inspect),
        (run, run.run),
        (report, report.report),
        (serve, serve.serve),
        (lint, lint.lint),
        (build, build.build),
        (audit, audit.audit),
        (doctor, doctor.doctor),
    ):
        app.command(command.__name__, short_help=module.SHORT_HELP, epilog=module.EPILOG)(command)
    app.add_typer(cache.app, name="cache")
    return app


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """While the block runs, let `kill`, a batch system and a closed terminal end a command as Ctrl-C does.

    So what a command started ends with it, and what it wrote for itself goes. A signal that is ignored, as under
    `nohup`, stays so. A process that waits for another hears of it when the wait ends: over gloo that is at once where
    the other is gone, and torchrun and batch systems, which send the signal, kill what has not ended soon after.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    is_heard = threading.current_thread() is threading.main_thread()
    names = ("SIGTERM", "SIGHUP") if is_heard else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
    numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _run(app: typer.Typer, arguments: list[str]) -> int:
    from quantlab.commands.terminal import USAGE_ERROR, usage_message

    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, prog_name="quantlab", standalone_mode=False, obj=["quantlab", *arguments])
    except USAGE_ERROR as error:
        sys.stderr.write(f"quantlab: error: {usage_message(error)}\n")
        return 2
    return code if isinstance(code, int) else 0
