"""What a process does once with a runtime: a logger that keeps what TensorRT says."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from quantlab.engines.tensorrt.messages import without_noise


def make_logger(trt: Any) -> Any:  # noqa: ANN401 - TensorRT has no types
    """Return a new logger that keeps every message in its `messages`."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[tuple[Any, str]] = []

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            self.messages.append((severity, message))

    return Logger()


@lru_cache
def process_logger(trt: Any) -> Any:  # noqa: ANN401
    """Return the one logger of this process: TensorRT goes on using the first it was given, whatever comes later."""
    return make_logger(trt)


def messages_of(trt: Any, logger: Any, *severities: str) -> list[str]:  # noqa: ANN401
    """Return what was logged with one of the severities, such as `ERROR`, without noise."""
    wanted = [getattr(trt.ILogger, severity) for severity in severities]
    return without_noise(text for severity, text in logger.messages if severity in wanted)
