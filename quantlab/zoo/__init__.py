"""The bundled model and digits, which `quantlab ptq` uses when it is given neither model nor data.

`digits.onnx` reads the images of `quantlab.data.digits` and was made by `python -m quantlab.zoo.train`;
`digits.npz` holds those images and was made by `python -m quantlab.zoo.pack`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["digits_model_path"]


def digits_model_path() -> Path:
    """Return the path of the bundled digits model, an ONNX file that reads `image`, float32 [batch, 1, 32, 32]."""
    return Path(str(resources.files(__name__) / "digits.onnx"))
