"""How large a model is, on disk and in weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from quantlab.graph.model import Model
from quantlab.graph.save import needs_external_data, to_bytes
from quantlab.graph.stand_in import is_stand_in


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of a model.

    Attributes:
        file_bytes: what the saved model takes; above 2 GB without the few bytes that describe the nodes.
        weight_bytes: its initializers, scales and zero points included; of a plan, which does not tell, the file.
    """

    file_bytes: int
    weight_bytes: int

    def to_json(self) -> dict[str, int]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.file_bytes / 1e6:.2f} MB, {self.weight_bytes / 1e6:.2f} MB of weights"


def measure_size(model: Model) -> Size:
    """Return the sizes of a model as `save` would write it.

    Raises:
        ModelError: the graph cannot be written.
    """
    if is_stand_in(model) and model.path is not None:
        size = model.path.stat().st_size
        return Size(size, size)
    weights = model.size_bytes
    return Size(weights if needs_external_data(model) else len(to_bytes(model)), weights)
