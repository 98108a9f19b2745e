"""Cases of older versions of operators, whose node tests ONNX no longer ships; ONNX Runtime says what is right."""

from __future__ import annotations

from tests.torchgraph.backend import Case

OLDER_CASES: dict[tuple[str, int], tuple[Case, ...]] = {}
