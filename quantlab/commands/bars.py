"""Long steps on stderr: a bar with the time left where there is a count, the time so far where there is none."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

# As often as the seconds on display change; drawing costs a hundredth of a percent of that.
_SECONDS_BETWEEN_LOOKS = 1.0
_COUNTED = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
# The bar of an unknown total is blank; with it tqdm cuts the line at the terminal's width.
_COUNTED_SO_FAR = "{desc}: {n_fmt}, {elapsed}{bar}"
_ELAPSED = "{desc}: {elapsed}{bar}"


@contextlib.contextmanager
def shown_bar(label: str, total: int | None) -> Iterator[Any]:
    """Show one step while the block runs, and wipe it away.

    Args:
        label: what is being done.
        total: its units; of None, and of one, which says nothing of how far it is, the time so far is shown.

    Yields:
        The bar of tqdm: `update` tells the units just done, `set_postfix_str` writes behind it.
    """
    from tqdm import tqdm

    if total is not None and total <= 1:
        total, look = None, _ELAPSED
    else:
        look = _COUNTED_SO_FAR if total is None else _COUNTED
    with (
        tqdm(total=total, desc=label, bar_format=look, file=sys.stderr, leave=False, dynamic_ncols=True) as bar,
        _alive(bar),
    ):
        yield bar


@contextlib.contextmanager
def _alive(bar: Any) -> Iterator[None]:  # noqa: ANN401 (tqdm has no types)
    """Let the time on display go on where a single unit takes long."""
    is_done = threading.Event()

    def look() -> None:
        while not is_done.wait(_SECONDS_BETWEEN_LOOKS):
            bar.refresh()

    thread = threading.Thread(target=look, name="quantlab-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
