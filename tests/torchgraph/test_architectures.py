"""Whole networks, as users export them: the same outputs as in ONNX Runtime, and a gradient for every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.data.batch import Array
from quantlab.graph.export_torch import export_torch
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.torchgraph.module import GraphModule
from tests.graph.models import outputs_of, random_feeds
from tests.graph.test_architectures import ARCHITECTURES, exported

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    # Importing transformers and its models warns about what this project does not use.
    pytest.mark.filterwarnings("ignore"),
]

# float32 keeps 24 bits; errors of single layers add up over up to a hundred: of these networks RegNet's outputs lie
# farthest from those in float64, by 2.5e-5 in ONNX Runtime and 2.1e-5 in torch.
TOLERANCE = 5e-5

FURTHER: dict[str, tuple[str, dict[str, Any], int]] = {
    "deit": ("DeiTForImageClassification", {"num_hidden_layers": 2, "image_size": 64}, 64),
    "regnet": ("RegNetForImageClassification", {}, 64),
    "swin": (
        "SwinForImageClassification",
        {"image_size": 64, "window_size": 4, "depths": [2, 2], "num_heads": [3, 6]},
        64,
    ),
}


def check(model: Model, feeds: Mapping[str, Array]) -> None:
    """Check the outputs against ONNX Runtime, and that training reaches every parameter."""
    wanted = outputs_of(model, feeds)
    module = GraphModule(model)
    got = module({name: torch.from_numpy(array) for name, array in feeds.items()})
    for name, array in wanted.items():
        limit = TOLERANCE * float(np.abs(array).max())
        np.testing.assert_allclose(got[name].detach().numpy(), array, rtol=0, atol=limit)
    sum(result.square().sum() for result in got.values()).backward()
    assert list(module.parameters())
    assert not [name for name, parameter in module.parameters_by_name.items() if parameter.grad is None]


@pytest.fixture(autouse=True)
def _further_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in FURTHER.items():
        monkeypatch.setitem(ARCHITECTURES, name, entry)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *FURTHER])
def test_a_network_computes_and_trains_as_exported_and_as_prepared(name: str) -> None:
    _, model = exported(name, "eager", 18)
    feeds = random_feeds(model, batch=2)
    check(model, feeds)
    check(prepare(model), feeds)


@pytest.mark.parametrize("name", ["vit", "swin", "segformer"])
def test_attention_as_one_operator_computes_and_trains(name: str) -> None:
    _, model = exported(name, "sdpa", 23)
    check(model, random_feeds(model, batch=2))


class Encoder(nn.Module):
    """A small BERT with a classifier."""

    def __init__(self) -> None:
        super().__init__()
        transformers = pytest.importorskip("transformers", reason="needs transformers")
        sizes = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 100}
        config = transformers.BertConfig(num_hidden_layers=2, **sizes)
        head = transformers.BertForSequenceClassification
        self.bert = head._from_config(config, attn_implementation="eager")
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.bert(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


@pytest.mark.parametrize("opset", [13, 17, 18, 23])
def test_a_bert_encoder_computes_and_trains(opset: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Encoder().eval()
    ids, mask = torch.randint(0, 100, (2, 12)), torch.ones(2, 12, dtype=torch.int64)
    mask[1, 7:] = 0
    names = ["input_ids", "attention_mask"]
    if opset < 18:  # what torch's own exporter writes no more; its older one does
        path = tmp_path / "bert.onnx"
        axes = {name: {0: "batch", 1: "length"} for name in names}
        torch.onnx.export(
            encoder, (ids, mask), path, opset_version=opset, dynamo=False, input_names=names, dynamic_axes=axes
        )
        model = load(path)
    else:
        model = export_torch(encoder, (ids, mask), opset=opset, input_names=names)
    feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    check(model, feeds)
    check(prepare(model), feeds)


class Detector(nn.Module):
    """What YOLO is made of: split and concatenated bottlenecks, pooled pyramids, nearest enlargement, decoded boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.down = nn.Conv2d(16, 32, 3, 2, 1)
        self.bottleneck = nn.Conv2d(16, 16, 3, 1, 1)
        self.join = nn.Conv2d(48, 32, 1)
        self.pyramid = nn.Conv2d(96, 16, 1)
        self.head = nn.Conv2d(32, 4 + 8, 1)
        self.coarse_head = nn.Conv2d(16, 4 + 8, 1)
        self.register_buffer("grid", torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="xy")))
        self.act = nn.SiLU()

    def forward(self, image: Tensor) -> Tensor:
        fine = self.act(self.stem(image))
        deep = self.act(self.down(fine))
        left, right = deep.chunk(2, 1)
        mixed = self.act(self.join(torch.cat([left, right, self.act(self.bottleneck(right))], 1)))
        pooled = nn.functional.max_pool2d(mixed, 5, 1, 2)
        pyramid = self.act(self.pyramid(torch.cat([mixed, pooled, nn.functional.max_pool2d(pooled, 5, 1, 2)], 1)))
        enlarged = nn.functional.interpolate(pyramid, scale_factor=2.0, mode="nearest")
        found = self.head(torch.cat([enlarged, fine], 1))[..., ::2, ::2]
        boxes, scores = found.flatten(2).split([4, 8], 1)
        centres = (boxes[:, :2].sigmoid() * 2 - 0.5 + self.grid.flatten(1)) * 4  # type: ignore[operator]
        coarse = self.coarse_head(pyramid).flatten(2)
        fine_boxes = torch.cat([centres, boxes[:, 2:].exp(), scores.sigmoid()], 1)
        return torch.cat([fine_boxes, coarse], 2).transpose(1, 2)


@pytest.mark.parametrize("opset", [18, 23])
def test_a_detector_computes_and_trains(opset: int) -> None:
    torch.manual_seed(0)
    model = export_torch(Detector().eval(), torch.randn(2, 3, 32, 32), opset=opset)
    feeds = random_feeds(model, batch=3)
    check(model, feeds)
    check(prepare(model), feeds)
    assert not [name for name in GraphModule(model).parameters_by_name if "grid" in name]
