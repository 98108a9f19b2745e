"""Architectures of transformers by name, at tiny sizes and with random weights: exported, prepared, planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the torch extra")
transformers = pytest.importorskip("transformers", reason="needs transformers")
pytestmark = [
    pytest.mark.torch,
    # Importing transformers and its models warns about what this project does not use.
    pytest.mark.filterwarnings("ignore"),
]

from safetensors.torch import load_file, save_file  # noqa: E402 - after the checks

from quantlab.data.preprocess import Preprocess  # noqa: E402
from quantlab.errors import ModelError  # noqa: E402
from quantlab.graph.origin import preprocess_of  # noqa: E402
from quantlab.graph.prepare import prepare  # noqa: E402
from quantlab.opening import open_model  # noqa: E402
from quantlab.targets import TARGETS  # noqa: E402
from quantlab.torchmodels import TorchModel, TorchSettings, open_torch_model, torch_name  # noqa: E402
from quantlab.torchmodels.checkpoint import load_weights  # noqa: E402
from quantlab.torchmodels.transformers import build  # noqa: E402
from tests.graph.models import outputs_of, random_feeds  # noqa: E402

_ENCODER = "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32"
_VISION = f"{_ENCODER},image_size=32,patch_size=8"
_SEGFORMER = (
    "segformer,hidden_sizes=[8,16],depths=[1,1],num_encoder_blocks=2,sr_ratios=[2,1],patch_sizes=[7,3],strides=[4,2],"
    "num_attention_heads=[1,2],mlp_ratios=[2,2],decoder_hidden_size=16,num_labels=5"
)
VIT = f"vit,{_VISION},num_labels=5"
# Those that only differ in what is inside wait for `make slow`.
SLOW = {
    "resnet": "resnet,embedding_size=8,hidden_sizes=[8,16],depths=[1,1],layer_type=basic,num_labels=5",
    "swin": "swin,image_size=32,window_size=4,patch_size=2,depths=[1,1],num_heads=[2,4],embed_dim=8,num_labels=5",
    "bert": f"bert,{_ENCODER},vocab_size=50,max_position_embeddings=16",
    "mobilenet_v1": "mobilenet_v1,depth_multiplier=0.25,num_labels=5",
    "mobilenet_v2": "mobilenet_v2,depth_multiplier=0.25,num_labels=5",
    "efficientnet": "efficientnet,width_coefficient=0.25,depth_coefficient=0.25,image_size=64,hidden_dim=320",
    "regnet": "regnet,embedding_size=8,hidden_sizes=[8,16],depths=[1,1],groups_width=8,num_labels=5",
    "convnext": "convnext,hidden_sizes=[8,16],depths=[1,1],num_stages=2,image_size=64,num_labels=5",
    "deit": f"deit,{_VISION},num_labels=5",
    "segformer": _SEGFORMER,
    "yolos": f"yolos,{_ENCODER},image_size=[32,48],patch_size=8,num_detection_tokens=5,"
    "use_mid_position_embeddings=false",
}
OUTPUTS = {"yolos": ("logits", "pred_boxes")}
# float32 keeps 24 bits; the two sum in other orders over tens of layers, and normalizations widen what differs.
TOLERANCE = 1e-4
SMALLEST_SPREAD = 1e-4


def opened(text: str, **settings: Any) -> TorchModel:
    name = torch_name(f"transformers:{text}")
    assert name is not None
    return open_torch_model(name, TorchSettings(**settings))


def assert_usable(made: TorchModel, outputs: tuple[str, ...]) -> None:
    """Check that it is prepared and planned, and computes what the module does, for a batch of three."""
    prepared = prepare(made.model)
    assert prepared.outputs == outputs
    feeds = random_feeds(made.model, batch=3)
    feeds = {name: np.ones_like(array) if array.dtype.kind == "i" else array for name, array in feeds.items()}
    got = outputs_of(prepared, feeds)
    with torch.no_grad():
        wanted = made.module(**{name: torch.from_numpy(array) for name, array in feeds.items()})
    for name in outputs:
        expected = wanted[name].numpy()
        # Near float32's smallest numbers (1e-38) every comparison is one of rounding, and nothing could be calibrated.
        assert np.ptp(expected) > SMALLEST_SPREAD
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
    plans = [TARGETS[name]().place(prepared, keep_float=()) for name in ("onnxruntime", "tensorrt")]
    assert any(plan.points for plan in plans)


def test_an_architecture_is_exported_prepared_and_planned():
    made = opened(VIT)
    assert_usable(made, ("logits",))
    assert {"vit.embeddings.cls_token", "classifier.weight"} <= set(made.module.state_dict())
    assert "classifier.weight" in made.model.graph.initializers


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SLOW)
def test_a_further_architecture_is_exported_prepared_and_planned(architecture: str):
    assert_usable(opened(SLOW[architecture]), OUTPUTS.get(architecture, ("logits",)))


@pytest.mark.slow
@pytest.mark.parametrize("text", [SLOW["resnet"], _SEGFORMER, SLOW["bert"]])
def test_sizes_stay_free_where_asked(text: str):
    model = opened(text, free_axes="size").model
    for spec in model.inputs:
        assert spec.shape is not None
        assert not [axis for axis in spec.shape if isinstance(axis, int) and axis != 3]


def built(text: str) -> Any:
    """Return the network before its export."""
    name = torch_name(f"transformers:{text}")
    assert name is not None
    return build(name, is_published=True)


def test_the_usual_head_is_taken_and_another_where_asked():
    assert type(built(_SEGFORMER).module).__name__ == "SegformerForSemanticSegmentation"
    for head in ("MaskedImageModeling", "ViTForMaskedImageModeling"):
        assert type(built(f"{VIT},encoder_stride=8,head={head}").module).__name__ == "ViTForMaskedImageModeling"


def test_images_and_texts_are_fed_as_the_configuration_says():
    assert [shape.sizes for shape in built(SLOW["yolos"]).inputs] == [(1, 3, 32, 48)]
    texts = built(SLOW["bert"]).inputs
    assert [(shape.name, shape.sizes, shape.dtype) for shape in texts] == [
        ("input_ids", (1, 16), "int64"),
        ("attention_mask", (1, 16), "int64"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("resnt", "knows no model type 'resnt'; did you mean resnet"),
        ("resnet,dephts=[1]", "ResNetConfig has no setting 'dephts'; did you mean depths"),
        ("resnet,head=MaskedLM", "resnet has no head 'MaskedLM'; it has ImageClassification"),
        ("resnet,layer_type=odd", "cannot be built .*layer_type.*odd.*look at the settings"),
        ("./nowhere", r"there is no folder \./nowhere"),
    ],
)
def test_what_is_wrong_in_a_name_is_told_with_what_to_write(text: str, complaint: str):
    with pytest.raises(ModelError, match=complaint) as caught:
        opened(text)
    assert "\n" not in str(caught.value)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return a folder that `save_pretrained` wrote, with an image processor's settings."""
    config = transformers.ViTConfig(**_settings(VIT))
    torch.manual_seed(5)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    processor = {"do_resize": True, "size": {"height": 32, "width": 32}, "resample": 3, "do_normalize": True}
    processor |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "rescale_factor": 1 / 255}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path


def _settings(text: str) -> dict[str, Any]:
    name = torch_name(f"transformers:{text}")
    assert name is not None
    return dict(name.options)


def test_a_folder_brings_head_weights_and_preprocessing(saved: Path):
    model = open_model(f"transformers:{saved}")
    expected = transformers.ViTForImageClassification.from_pretrained(saved).eval()
    feeds = random_feeds(model, batch=2)
    with torch.no_grad():
        wanted = expected(torch.from_numpy(feeds["pixel_values"])).logits.numpy()
    np.testing.assert_allclose(outputs_of(model, feeds)["logits"], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert preprocess_of(model) == Preprocess(
        resize=(32, 32), mean=(0.5,) * 3, std=(0.25,) * 3, interpolation="bicubic"
    )
    assert "weights as published" in model.notes[0]


def test_a_file_under_published_names_fills_an_architecture(saved: Path):
    network = built(VIT)
    trained = transformers.ViTForImageClassification.from_pretrained(saved)
    load_weights(network.module, saved / "model.safetensors", network.rename)
    got, wanted = network.module.state_dict(), trained.state_dict()
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)


def test_a_file_under_published_names_that_does_not_fit_is_refused(saved: Path, tmp_path: Path):
    state = load_file(saved / "model.safetensors")
    state["extra"] = state.pop("classifier.bias")
    state["classifier.weight"] = torch.zeros(7, 16)
    save_file(state, tmp_path / "other.safetensors")
    network = built(VIT)
    with pytest.raises(ModelError) as caught:
        load_weights(network.module, tmp_path / "other.safetensors", network.rename)
    for part in ("missing: classifier.bias", "unexpected: extra", "classifier.weight [7, 16] for [5, 16]"):
        assert part in str(caught.value)


def test_a_folder_with_code_of_its_own_does_not_run_it(saved: Path):
    mark = saved / "ran"
    (saved / "own.py").write_text(f"open({str(mark)!r}, 'w')")
    config = json.loads((saved / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModelForImageClassification": "own.Own"}
    (saved / "config.json").write_text(json.dumps({**config, "model_type": "own"}))
    with pytest.raises(ModelError, match="its configuration cannot be had"):
        open_model(f"transformers:{saved}")
    assert not mark.exists()


def test_a_hub_id_without_a_network_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(ModelError, match=r"couldn't connect to the hub\); check OWNER/NAME; without a network give"):
        open_model("transformers:someone/something")
