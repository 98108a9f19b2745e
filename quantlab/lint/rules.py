"""All rules, by target and family."""

from __future__ import annotations

from quantlab.lint import (
    onnxruntime_encodings,
    onnxruntime_placement,
    tensorrt_encodings,
    tensorrt_operators,
    tensorrt_placement,
    tensorrt_products,
)
from quantlab.lint.rule import Rule

RULES: tuple[Rule, ...] = (
    *tensorrt_encodings.RULES,
    *tensorrt_operators.RULES,
    *tensorrt_placement.RULES,
    *tensorrt_products.RULES,
    *onnxruntime_encodings.RULES,
    *onnxruntime_placement.RULES,
)
