"""Train the bundled network and export it as `digits.onnx`: `python -m quantlab.zoo.train` (needs the torch extra).

Training sees the `train` part of the digits only, moved, turned and scaled at random. The `calibration` part is
watched meanwhile; the `evaluation` part decides nothing and is measured once the network is written.

The run is repeatable: one seed, deterministic algorithms, and THREADS threads, since their number decides the order
of sums. On the same machine and torch it gives the same bits; another CPU or version may differ in the last bits, and
then the network is another one of about the same accuracy. It took twelve
minutes of processor time on two busy cores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from onnxscript import optimizer as graph_optimizer
from torch import Tensor, nn

from quantlab.data.batch import Batches
from quantlab.data.digits import DigitsSource, Part
from quantlab.files import replacing
from quantlab.zoo.manifest import FOLDER, write_manifest
from quantlab.zoo.network import DigitsNetwork

THREADS = 2
OPSET = 18


@dataclass(frozen=True, slots=True)
class Settings:
    """How the network is trained.

    Attributes:
        seed: of the initial weights, the order of the samples and the augmentation.
        epochs: passes over the training samples.
        batch_size: samples per step.
        learning_rate: of AdamW, at its highest; it rises over the first tenth and falls along a cosine.
        weight_decay: of AdamW.
        label_smoothing: the share of the target that is spread over all classes; it keeps the logits small.
        turn_degrees: images are turned by up to this much either way.
        zoom: images are scaled by 1 - zoom to 1 + zoom.
        shift: images are moved by up to this part of their size either way.
    """

    seed: int = 7
    epochs: int = 36
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    turn_degrees: float = 15.0
    zoom: float = 0.12
    shift: float = 0.1


def train(settings: Settings) -> DigitsNetwork:
    """Return a network trained on the `train` part, in evaluation mode."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(settings.seed)
    network = DigitsNetwork()
    images, labels = samples_of("train")
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(len(labels) / settings.batch_size) * settings.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, steps, pct_start=0.1)
    for epoch in range(settings.epochs):
        network.train()
        order = torch.randperm(len(labels))
        for first in range(0, len(order), settings.batch_size):
            chosen = order[first : first + settings.batch_size]
            logits = network(augment(images[chosen], settings))
            loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=settings.label_smoothing)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1:3d}  last loss {loss.item():.4f}  validation {accuracy(network, 'calibration'):.4f}")
    return network.eval()


def samples_of(part: Part) -> tuple[Tensor, Tensor]:
    """Return a part's images, float32 [samples, 1, 32, 32], and labels, int64 [samples]."""
    source = DigitsSource(part)
    (batch,) = Batches(source, source.size)
    return torch.from_numpy(batch.feeds["image"]), torch.from_numpy(np.array(batch.labels))


def augment(images: Tensor, settings: Settings) -> Tensor:
    """Return the images turned, scaled and moved at random, each otherwise; what comes into view is background."""
    count = len(images)
    turn = _uniform(count) * math.radians(settings.turn_degrees)
    zoom = 1 + _uniform(count) * settings.zoom
    # In the coordinates of affine_grid the image is 2 wide.
    right, down = 2 * settings.shift * _uniform(count), 2 * settings.shift * _uniform(count)
    first = torch.stack([zoom * turn.cos(), -zoom * turn.sin(), right], dim=1)
    second = torch.stack([zoom * turn.sin(), zoom * turn.cos(), down], dim=1)
    grid = nn.functional.affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    # Padding is 0, the background -1.
    return nn.functional.grid_sample(images + 1, grid, align_corners=False) - 1


def _uniform(count: int) -> Tensor:
    """Return random numbers in [-1, 1), float32 [count]."""
    return 2 * torch.rand(count) - 1


@torch.no_grad()
def accuracy(network: nn.Module, part: Part) -> float:
    """Return the fraction of a part's samples that the network, put in evaluation mode, classifies correctly."""
    images, labels = samples_of(part)
    predicted = network.eval()(images).argmax(dim=1)
    return float((predicted == labels).double().mean())


def export(network: nn.Module, path: Path) -> None:
    """Write the network as one ONNX file with a free batch size, input `image` and output `logits`, atomically.

    Batch norm stays as the exporter wrote it, since real files hold it too and `prepare` is there to fold it.
    """
    program = torch.onnx.export(
        network.eval(),
        (torch.zeros(2, 1, 32, 32),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        optimize=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model
    # The exporter builds each missing bias out of Shape, Expand and CastLike; folding turns it into a constant.
    graph_optimizer.fold_constants(model)
    graph_optimizer.remove_unused_nodes(model)
    strip_metadata(model)
    with replacing(path) as temporary:
        ir.save(model, temporary)


def strip_metadata(model: ir.Model) -> None:
    """Remove what the exporter notes beside the graph: traces that hold paths of the machine."""
    graph = model.graph
    values = [*graph.inputs, *graph.initializers.values()]
    for node in graph:
        node.metadata_props.clear()
        node.doc_string = None
        values.extend(node.outputs)
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None
    for owner in (model, graph):
        owner.metadata_props.clear()
        owner.doc_string = None


def main() -> None:
    """Train, export next to this file, and print the accuracy on the evaluation part."""
    network = train(Settings())
    export(network, FOLDER / "digits.onnx")
    write_manifest()
    print(f"evaluation {accuracy(network, 'evaluation'):.4f}")


if __name__ == "__main__":
    main()
