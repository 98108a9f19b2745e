"""The training script repeats itself and exports files that are fit to ship."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

from quantlab.zoo import digits_model_path, train  # noqa: E402  (needs torch)
from quantlab.zoo.network import DigitsNetwork  # noqa: E402

pytestmark = pytest.mark.torch

STILL = train.Settings(turn_degrees=0.0, zoom=0.0, shift=0.0)


@pytest.fixture(autouse=True)
def restored_torch_settings():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[DigitsNetwork, Path]:
    torch.manual_seed(0)
    network = DigitsNetwork().train()
    with torch.no_grad():
        network(torch.randn(8, 1, 32, 32))  # moves the running statistics away from 0 and 1
    path = tmp_path_factory.mktemp("zoo") / "untrained.onnx"
    train.export(network, path)
    return network, path


# The exporter of torch 2.13 meets deprecations of its own.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_exported_file_computes_what_the_network_computes(exported):
    network, path = exported
    image = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": image})
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(image)).numpy()
    # Float32 sums in another order, through fifteen convolutions.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_new_export_has_the_ops_of_the_shipped_file(exported):
    shipped = onnx.load(digits_model_path())
    ops = [Counter(node.op_type for node in model.graph.node) for model in (onnx.load(exported[1]), shipped)]
    assert ops[0] == ops[1]


def test_stripping_removes_every_trace_that_the_exporter_left():
    value = ir.Value(name="x")
    node = ir.node("Relu", [value], metadata_props={"pkg.torch.onnx.stack_trace": "File train.py"}, doc_string="trace")
    node.outputs[0].metadata_props["pkg.torch.onnx.original_node_name"] = "relu"
    graph = ir.Graph([value], node.outputs, nodes=[node], opset_imports={"": 18}, doc_string="from train.py")
    model = ir.Model(graph, ir_version=10, metadata_props={"made_in": "train.py"})
    train.strip_metadata(model)
    owners: list[ir.Model | ir.Graph | ir.Node | ir.Value] = [model, graph, node, *graph.inputs, *node.outputs]
    assert [dict(owner.metadata_props) for owner in owners] == [{}] * 5
    assert {owner.doc_string for owner in owners} == {None}


def test_augmentation_without_movement_changes_nothing():
    images, _ = train.samples_of("train")
    # Interpolation at the pixel centres themselves, whose coordinates are rounded to float32.
    torch.testing.assert_close(train.augment(images[:8], STILL), images[:8], rtol=0, atol=1e-4)


def test_augmentation_keeps_the_range_and_fills_with_background():
    settings = dataclasses.replace(STILL, shift=0.5)
    torch.manual_seed(0)
    moved = train.augment(torch.ones(64, 1, 32, 32), settings)
    assert moved.min() == -1.0
    assert moved.max() <= 1.0 + 1e-6
    # A white image moved by up to half its size shows background along two sides: never more than three quarters.
    assert (moved > 0).double().mean(dim=(1, 2, 3)).min() > 0.2


def test_augmentation_follows_the_seed():
    images, _ = train.samples_of("train")
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(train.augment(images[:4], train.Settings()))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.slow
def test_training_twice_gives_the_same_bits():
    settings = train.Settings(epochs=1)
    first, second = (train.train(settings).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
