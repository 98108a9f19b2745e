"""FILE.py:FUNCTION, or a Python object → a network: a module, or (module, example inputs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quantlab.data.python_file import load_function
from quantlab.errors import DataError, ModelError
from quantlab.torchmodels.name import TorchName
from quantlab.torchmodels.network import Network, import_package

if TYPE_CHECKING:
    from torch import Tensor


def build(name: TorchName, *, is_published: bool) -> Network:
    """Return the network that a user's function returns; its weights are its own affair.

    Args:
        name: FILE.py:FUNCTION.
        is_published: not used.

    Raises:
        EngineMissing: torch is not installed.
        ModelError: there is no such function, it fails, or it returns something else.
    """
    import_package("torch", model=name.text, extra="torch")
    try:
        made = load_function(name.name)()
    except DataError as error:
        raise ModelError(f"model {error}") from error
    return network_of(made, where=f"model {name.text!r}")


def network_of(made: object, *, where: str) -> Network:
    """Return the network that an object is: a module, or (module, example inputs).

    Raises:
        ModelError: it is something else; the message tells what, after `where`.
    """
    import torch

    module, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{where}: got {_described(made)}, not a torch module; return the module, or (module, example inputs)"
        )
    return Network(module, weights="own", example=_checked(example, where))


def _checked(example: object, where: str) -> Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None:
    import torch

    if example is None or isinstance(example, torch.Tensor):
        return example
    values = list(example.values()) if isinstance(example, Mapping) else example
    if isinstance(values, (tuple, list)) and values and all(isinstance(value, torch.Tensor) for value in values):
        return example  # type: ignore[return-value] # a mapping or sequence of tensors
    raise ModelError(
        f"{where}: the example inputs are {_described(example)}; give a tensor, a tuple of them, or a dictionary"
    )


def _described(item: Any) -> str:  # noqa: ANN401 (whatever a user's function returned)
    if isinstance(item, (tuple, list)):
        return f"a {type(item).__name__} of {', '.join(type(part).__name__ for part in item) or 'nothing'}"
    return f"a {type(item).__name__}"
