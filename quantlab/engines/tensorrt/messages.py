"""What TensorRT logs → what a user needs to read.

Without a driver, TensorRT follows each message of its own with lines about CUDA; they hide the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_NOISE = ("cudaError", "CUDA initialization", "CUDA driver version is insufficient", "CUDA lazy loading")
# "... (reason. In function at /source/file.cpp:123)", "File.cpp:12: reason": where it happened does not help the user.
_SOURCE_PLACE = re.compile(
    r"\.?\s+In \S+ at \S+:\d+|^In (?:node|file) .*?:\s*|\[[\w./-]+\.(?:cpp|h)::\w+::\d+\]\s*|^\w+\.cpp:\d+:\s*"
)
_MOST = 5


def without_noise(messages: Iterable[str]) -> list[str]:
    """Return messages without what TensorRT says about a missing driver, each in one line and only once."""
    lines = (line for message in messages for line in message.split("\n"))
    kept = (line for line in lines if not any(noise in line for noise in _NOISE))
    return list(dict.fromkeys(filter(None, (_cleaned(line) for line in kept))))


def parse_errors(parser: Any) -> list[str]:  # noqa: ANN401 - TensorRT has no types
    """Return why an OnnxParser refused a model, naming the nodes."""
    faults = [parser.get_error(index) for index in range(parser.num_errors)]
    return [f"{_where(fault)}: {_reason(fault)}" for fault in faults]


def shortened(messages: list[str]) -> str:
    """Return the first few messages as one sentence."""
    more = f" ... and {len(messages) - _MOST} more" if len(messages) > _MOST else ""
    return "; ".join(messages[:_MOST]) + more


def _where(fault: Any) -> str:  # noqa: ANN401
    operator, node = fault.node_operator(), fault.node_name()
    return f"node {node!r} ({operator})" if node else operator or "the model"


def _reason(fault: Any) -> str:  # noqa: ANN401
    reason = "; ".join(without_noise([fault.desc()])) or str(fault.code())
    if reason == "false":  # the condition that the parser asserts, all it says of an operator it has no layer for
        return "it has no layer for this operator"
    advice = "; give the library or Python file that brings the operator with --plugins"
    return reason + advice if "Plugin not found" in reason else reason


def _cleaned(line: str) -> str:
    return " ".join(_SOURCE_PLACE.sub("", line).split())
