"""How far a training is → the factor of its learning rates: a linear rise, then half a cosine down to zero.

    rise:  p / w                                  p < w
    fall:  (1 + cos(π · (p − w) / (1 − w))) / 2   otherwise

p is the share of the training that is done, 0 to 1, and w the share in which the rate rises.
"""

from __future__ import annotations

import math


def rate_factor(done: float, warmup: float) -> float:
    """Return the factor of the learning rates, 0 to 1.

    Args:
        done: the share of the training that is done, 0 to 1.
        warmup: the share in which the rate rises, 0 to 1.
    """
    if done < warmup:
        return done / warmup
    left = 1 - warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / left)) if left > 0 else 1.0
