"""INT8 quantization and calibration workbench.

    import quantlab

    run = quantlab.ptq("net.onnx", "calib.npz", targets=("onnxruntime", "tensorrt"), out="runs/net")
    print(run)

Names are imported on first use: `import quantlab` itself loads no runtime and no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantlab import qat as qat
    from quantlab.comparison import compare as compare
    from quantlab.errors import QuantlabError as QuantlabError
    from quantlab.pipeline import ptq as ptq
    from quantlab.recipe import Recipe as Recipe
    from quantlab.run import Run as Run
    from quantlab.side_by_side import Samples as Samples
    from quantlab.side_by_side import diff as diff
    from quantlab.side_by_side import evaluate as evaluate
    from quantlab.torchgraph.registry import register_op as register_op

# Where each public name lives.
_HOMES = {
    "QuantlabError": "quantlab.errors",
    "Recipe": "quantlab.recipe",
    "Run": "quantlab.run",
    "Samples": "quantlab.side_by_side",
    "compare": "quantlab.comparison",
    "diff": "quantlab.side_by_side",
    "evaluate": "quantlab.side_by_side",
    "ptq": "quantlab.pipeline",
    "register_op": "quantlab.torchgraph.registry",
}

__all__ = ["QuantlabError", "Recipe", "Run", "Samples", "compare", "diff", "evaluate", "ptq", "register_op"]


# Packages that hold functions of their own, as `quantlab.qat.train`.
_PACKAGES = ("qat",)


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"quantlab.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'quantlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_PACKAGES})
