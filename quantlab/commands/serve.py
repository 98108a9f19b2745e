"""`quantlab serve`: runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import options
from quantlab.commands.settings import preprocess_settings
from quantlab.commands.terminal import reporting_errors

SHORT_HELP = "Browse, compare and try runs in the browser."
EPILOG = """\b
Examples:
  quantlab serve runs
  quantlab serve runs --data photos/ --preprocess imagenet --open
"""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs below it, or one run.")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port of 127.0.0.1; 0 for a free one.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Samples to try, as for `quantlab ptq`. Without it: those a run was judged on, where they are bundled or "
        "lie in DIR.",
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Open the browser too.")]


def serve(
    folder: Folder = Path("runs"),
    port: Port = 8642,
    data: Data = None,
    preprocess: options.Preprocess = None,
    threads: options.Threads = None,
    library: options.Libraries = None,
    open_: Open = False,
    debug: options.Debug = False,
) -> None:
    """Show the runs below a folder in the browser: list, compare, open reports, try samples on FP32 and INT8.

    This machine only can reach it, nothing is loaded from a network, and no file outside DIR is shown. Ctrl-C ends it.
    """
    with reporting_errors(debug=debug):
        from quantlab.serve import import_flask

        import_flask()  # before all else: without it nothing below can be imported
        from quantlab.engines.onnxruntime import OnnxRuntime
        from quantlab.serve.app import create_app
        from quantlab.serve.models import ModelCache
        from quantlab.serve.run_list import RunList
        from quantlab.serve.samples import GivenSamples
        from quantlab.serve.server import serve as serve_app
        from quantlab.serve.workbench import Workbench

        engine = OnnxRuntime(threads, libraries=tuple(map(str, library or ())))
        given = GivenSamples(data, preprocess_settings(preprocess))
        workbench = Workbench(RunList.open(folder), ModelCache(engine), given)

        def tell(address: str) -> None:
            typer.echo(f"{folder} is at {address}  (Ctrl-C ends it)")
            if open_:
                typer.launch(address)

        try:
            serve_app(create_app(workbench), port, on_ready=tell)
        finally:
            workbench.close()
