"""An operator of your own, the whole way: exported, calibrated, trained with fake quantization, written as INT8 ONNX.

    python examples/custom_operator.py [OUT.onnx]

`HSwish` stands for a TensorRT plugin: torch computes it, its `symbolic` names the ONNX operator, and
`quantlab.register_op` tells quantlab how to compute that operator. ONNX Runtime does not know it, so that torch runs
the graph while it is calibrated.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import quantlab
from quantlab.calibrate import calibrate
from quantlab.calibrators import calibrator_named
from quantlab.collect import collect, observed_tensors
from quantlab.data.batch import Batches
from quantlab.data.open import open_source
from quantlab.engines.torch import Torch
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import save
from quantlab.opening import prepare_with_shapes
from quantlab.qat.module import QuantizedModule, finish
from quantlab.qat.start import Start
from quantlab.qdq import insert
from quantlab.targets import target_named

DOMAIN = "my.plugins"


class HSwish(torch.autograd.Function):
    """x · clip(x + 3, 0, 6) / 6, as a plugin would compute it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's own signature
        """Compute it in torch."""
        return nn.functional.hardswish(x)

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:  # noqa: ANN401 - torch's own signature
        """Name the ONNX operator that stands for it."""
        return graph.op(f"{DOMAIN}::HSwish", x).setType(x.type())


@quantlab.register_op(DOMAIN, "HSwish", replace=True)
def hswish(x: Tensor) -> Tensor:
    """Compute the ONNX operator, with gradients."""
    return x * torch.clamp(x + 3, 0, 6) / 6


class Network(nn.Module):
    """Two convolutions with the operator between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the scores."""
        scores: Tensor = self.second(HSwish.apply(self.first(image)))
        return scores


def exported(path: Path) -> Model:
    """Export the network; torch's older exporter is the one that asks for `symbolic`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Network().eval(),
            (torch.zeros(2, 3, 8, 8),),
            path,
            dynamo=False,
            opset_version=17,
            custom_opsets={DOMAIN: 1},
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "batch"}},
        )
    return load(path)


def trained(module: QuantizedModule, images: Tensor, expected: Tensor) -> list[float]:
    """Train like any torch module, here towards the float network's outputs; return the losses."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = (module(images)["scores"] - expected).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        module.keep_scales_positive()
        losses.append(float(loss.detach()))
    return losses


def main(out: Path) -> list[float]:
    """Go the whole way; write the INT8 model and return the losses."""
    torch.manual_seed(0)
    images, engine = torch.randn(32, 3, 8, 8), Torch("cpu", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        model = exported(Path(folder) / "network.onnx")
        batches = Batches(open_source({"image": images.numpy()}, model.inputs), 8)
        prepared = prepare_with_shapes(model, engine, next(iter(batches)).feeds)
        plan = target_named("tensorrt").place(prepared, keep_float=())
        statistics = collect(prepared, observed_tensors([plan]), engine, batches)
        encodings = calibrate(prepared, plan, statistics, calibrator_named("entropy"))
        with engine.open(prepared) as session:
            expected = torch.from_numpy(session.run({"image": images.numpy()})["scores"])
        module = QuantizedModule(Start(insert(prepared, plan, encodings), plan), learn_scales=True)
        losses = trained(module, images, expected)
        save(finish(module), out)
    return losses


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "custom_operator.int8.onnx")
    losses = main(target)
    print(f"mean squared error against the float network: {losses[0]:.2e} before, {losses[-1]:.2e} after training")
    print(f"INT8 model: {target}")
