"""Tensors of a module under their ONNX names, which torch would refuse: a torch name holds no dot and is not empty."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


class NamedTensors(nn.Module):
    """Parameters and buffers by ONNX name; in `state_dict` a dot is written as a slash."""

    def __init__(self) -> None:
        super().__init__()
        self._torch_names: dict[str, str] = {}

    def add(self, name: str, tensor: Tensor) -> None:
        """Hold a tensor; a `Parameter` is trained and saved, any other only follows the module to its device."""
        torch_name = name.replace(".", "/")
        while hasattr(self, torch_name):
            torch_name += "_"
        self._torch_names[name] = torch_name
        if isinstance(tensor, nn.Parameter):
            self.register_parameter(torch_name, tensor)
        else:
            self.register_buffer(torch_name, tensor, persistent=False)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (ONNX name, tensor) in the order they were added."""
        for name, torch_name in self._torch_names.items():
            yield name, getattr(self, torch_name)
