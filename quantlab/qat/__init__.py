"""Quantization-aware training: the Q/DQ graph itself is trained, so that what is measured, trained and deployed is one.

    run = quantlab.qat.train("net.onnx", "train.npz", settings=quantlab.qat.QatSettings(epochs=5))

    module = quantlab.qat.prepare("net.onnx", "calib.npz")    a torch module, for a training loop of your own
    int8_model = quantlab.qat.finish(module)                  and back to an INT8 model

`quantlab.qat` is this package, for the sake of `prepare` and `finish`, and so it cannot be a function beside
`quantlab.ptq`: that function is `train`. Names are imported on first use, since all
but the settings need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from quantlab.engines.torch_device import import_torch
from quantlab.qat.settings import QatSettings as QatSettings

if TYPE_CHECKING:
    from quantlab.qat.history import EpochRecord as EpochRecord
    from quantlab.qat.history import History as History
    from quantlab.qat.history import StepRecord as StepRecord
    from quantlab.qat.hooks import Hooks as Hooks
    from quantlab.qat.module import QuantizedModule as QuantizedModule
    from quantlab.qat.module import finish as finish
    from quantlab.qat.module import prepare as prepare
    from quantlab.qat.run import QatRun as QatRun
    from quantlab.qat.run import train as train

# Where each public name lives.
_HOMES = {
    "EpochRecord": "quantlab.qat.history",
    "History": "quantlab.qat.history",
    "Hooks": "quantlab.qat.hooks",
    "QatRun": "quantlab.qat.run",
    "QuantizedModule": "quantlab.qat.module",
    "StepRecord": "quantlab.qat.history",
    "finish": "quantlab.qat.module",
    "prepare": "quantlab.qat.module",
    "train": "quantlab.qat.run",
}

__all__ = [
    "EpochRecord",
    "History",
    "Hooks",
    "QatRun",
    "QatSettings",
    "QuantizedModule",
    "StepRecord",
    "finish",
    "prepare",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        import_torch()
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'quantlab.qat' has no attribute {name!r}")
