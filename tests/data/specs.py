"""Model inputs that the tests of this folder share."""

from __future__ import annotations

import numpy as np

from quantlab.data.batch import InputSpec

IMAGE = InputSpec("input", np.dtype(np.float32), ("N", 1, 4, 4))
COLOUR = InputSpec("input", np.dtype(np.float32), ("N", 3, 8, 8))
FREE = InputSpec("input", np.dtype(np.float32), ("N", 3, "H", "W"))
TOKENS = InputSpec("input_ids", np.dtype(np.int64), ("N", "T"))
MASK = InputSpec("attention_mask", np.dtype(np.int64), ("N", "T"))
