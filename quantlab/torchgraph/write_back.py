"""A trained module's parameters → the constants of a model, by name; without training, the same model again."""

from __future__ import annotations

import onnx_ir as ir
import torch

from quantlab.affine import SMALLEST_SCALE
from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.tensors import ir_tensor, torch_tensor


def write_back(module: GraphModule, model: Model) -> Model:
    """Return a clone of a model with the parameters of a module that was made from it.

    Constants that training left bit for bit as they were stay the very tensors they are.

    Args:
        module: trained or not, on any device.
        model: the model the module was made from; it is not changed.

    Raises:
        ModelError: the model lacks a constant that the module trained, or has it in another shape, or training left
            NaN or infinity in it.
    """
    clone = model.clone()
    values = clone.values_by_name()
    for name, parameter in module.parameters_by_name.items():
        value = values.get(name)
        old = None if value is None else ir.convenience.get_const_tensor(value)
        if value is None or old is None:
            raise ModelError(f"{model.name}: no constant {name!r} to write back to; use the model the module is from")
        before = torch_tensor(old)
        after = parameter.detach().cpu().to(before.dtype)
        if name in module.scales:
            after = after.clamp_min(SMALLEST_SCALE)
        _check(name, before, after)
        if not _is_same(before, after):
            _replace(value, ir_tensor(after, name))
    return clone


def _check(name: str, before: torch.Tensor, after: torch.Tensor) -> None:
    if before.shape != after.shape:
        raise ModelError(
            f"constant {name!r}: the model has shape {list(before.shape)}, the module {list(after.shape)}; "
            "use the model the module is from"
        )
    if not bool(torch.isfinite(after).all()) and bool(torch.isfinite(before).all()):
        raise ModelError(f"constant {name!r}: training left NaN or infinity in it; lower the learning rate")


def _is_same(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether two tensors are equal, bit for bit."""
    return torch.equal(before.reshape(-1).view(torch.uint8), after.contiguous().reshape(-1).view(torch.uint8))


def _replace(value: ir.Value, tensor: ir.TensorProtocol) -> None:
    node = value.producer()
    if node is None:
        value.const_value = tensor
        return
    # A Constant node may hold a number in attributes of several names; `value` takes any tensor.
    node.attributes.clear()
    node.attributes.add(ir.AttrTensor("value", tensor))
    value.const_value = None
