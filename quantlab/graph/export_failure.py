"""Why torch's exporter failed, in one line that names the operator or the line; and what keeps it quiet."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quantlab.graph.load import first_line

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)

Call = tuple["torch.nn.Module", tuple[Any, ...], Mapping[str, Any]]
"""A module and the arguments of one call, in order and by name."""

_OPERATOR = re.compile(r"OpOverload\(op='([\w.:]+)'")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in \w+\n\s*(.*)')


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's progress, warnings and logs from the user, unless all is logged; errors come as exceptions."""
    if _logger.isEnabledFor(logging.DEBUG):
        yield
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def why_not_exported(call: Call, error: BaseException) -> str:
    """Return the operator or the line that torch stumbles over, in one line."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__
    for step in reversed(chain):
        if found := _OPERATOR.search(str(step)):
            where = _line_of(found[1], call)
            return f"operator {found[1]} has no ONNX form{where}; replace it, or register one with torch.onnx"
    where = _last_line(str(chain[-1]))
    return f"torch cannot export it{where} ({first_line(chain[-1])}); rewrite that part, or export it to ONNX yourself"


def _line_of(operator: str, call: Call) -> str:
    """Return where the module calls an operator, as ` at file:line`, or nothing where that cannot be found."""
    import torch

    module, args, kwargs = call
    with contextlib.suppress(RuntimeError, ValueError, TypeError), quiet():
        program = torch.export.export(module, args, dict(kwargs) or None).run_decompositions()
        for node in program.graph.nodes:
            if str(node.target).startswith(operator) and (where := _last_line(node.meta.get("stack_trace") or "")):
                return where
    return ""


def _last_line(trace: str) -> str:
    lines = _LINE.findall(trace)
    return f" at {lines[-1][0]}:{lines[-1][1]} `{lines[-1][2].strip()}`" if lines else ""
