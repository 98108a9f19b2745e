"""The sums over levels that divergences are made of, compiled by numba; see `divergence`.

They release the GIL: several tensors may be searched in threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quantlab.calibrators.divergence import Floats, PrefixSums, Windows
from quantlab.stats.kernel_numba import compile_loops


def level_sums(sums: PrefixSums, windows: Windows) -> Floats:
    """Return what `divergence.level_sums` does."""
    result = np.empty((3, windows.first.size))
    prefixes = (sums.mass, sums.occupied, sums.logarithms)
    cuts = (windows.first, windows.last, windows.step, windows.offset)
    _compiled_level_sums(prefixes, cuts, windows.back, windows.origin, windows.levels, result)
    return result


def _level_sums(prefixes: Any, cuts: Any, back: Any, origin: Any, levels: Any, result: Any) -> None:  # noqa: ANN401
    mass, occupied, logarithms = prefixes
    firsts, lasts, steps, offsets = cuts
    for window in range(firsts.size):
        first, last, step, offset = firsts[window], lasts[window], steps[window], offsets[window]
        before, mass_before, occupied_before = first, mass[first], occupied[first]
        total = own_log = 0.0
        is_first = True
        for level in range(1, levels + 1):
            border = last
            if level < levels:
                border = min(max(np.int64(math.ceil((level + offset) * step - back)) + origin, first), last)
            if border == before:
                continue
            inside = mass[border] - mass_before
            own_log = 0.0
            if inside > 0.0:
                # Many levels hold few values; the table is at hand, and half the time goes into logarithms.
                own_log = logarithms[np.int64(inside)] if inside < logarithms.size else math.log(inside)
                own_log -= logarithms[occupied[border] - occupied_before]
                total += inside * own_log
            if is_first:
                result[1, window] = own_log
                is_first = False
            before, mass_before, occupied_before = border, mass[border], occupied[border]
        result[0, window] = total
        result[2, window] = own_log


_compiled_level_sums = compile_loops(
    _level_sums,
    "void(Tuple((float64[::1], int64[::1], float64[::1])), "
    "Tuple((int64[::1], int64[::1], float64[::1], float64[::1])), float64, int64, int64, float64[:, ::1])",
)
