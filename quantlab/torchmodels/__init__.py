"""Torch models by the names that users type, exported as ONNX at the door; everything behind it sees a `Model`.

    torchvision:resnet50                      a network of torchvision, with its published weights
    timm:convnext_tiny                        one of timm
    transformers:facebook/deit-tiny           one of the Hugging Face hub, or a folder that `save_pretrained` wrote
    transformers:swin,depths=[1,1],head=...   an architecture of transformers, with settings
    FILE.py:FUNCTION                          what a function of one's own returns

A name may be followed by `,key=value` for whatever builds the network.
"""

from quantlab.torchmodels.name import FORMS, TorchName, torch_name
from quantlab.torchmodels.open import TorchModel, is_torch_module, open_torch_model, open_torch_object
from quantlab.torchmodels.settings import TorchSettings

__all__ = [
    "FORMS",
    "TorchModel",
    "TorchName",
    "TorchSettings",
    "is_torch_module",
    "open_torch_model",
    "open_torch_object",
    "torch_name",
]
