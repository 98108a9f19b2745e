"""The shipped network classifies the digits, has the structures it promises, and says nothing of where it was made."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from importlib import resources

import numpy as np
import onnx
import onnxruntime
import pytest

from quantlab.data.batch import Batches
from quantlab.data.digits import digits_sources
from quantlab.zoo import digits_model_path
from quantlab.zoo.manifest import FOLDER, PROVENANCE, sha256_of


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(digits_model_path())


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(digits_model_path(), options, providers=["CPUExecutionProvider"])


def test_at_least_97_percent_of_the_evaluation_digits_are_classified_correctly(session):
    correct = 0
    source = digits_sources()[1]
    for batch in Batches(source, 64):
        (logits,) = session.run(["logits"], dict(batch.feeds))
        correct += int((logits.argmax(axis=1) == batch.labels).sum())
    assert correct / source.size >= 0.97


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_is_free(session, batch_size):
    image = next(digits_sources()[0].read(0, batch_size, batch_size)).feeds["image"]
    assert session.run(None, {"image": image})[0].shape == (batch_size, 10)


def test_the_input_is_a_float_image_and_the_output_logits(model):
    (image,), (logits,) = model.graph.input, model.graph.output
    assert [image.name, logits.name] == ["image", "logits"]
    assert image.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["batch", 1, 32, 32]


def test_the_file_is_checked_opset_18_in_the_default_domain_alone(model):
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]


def test_the_structures_that_quantization_stumbles_over_are_there(model):
    count = Counter(node.op_type for node in model.graph.node)
    # Unfolded batch norm, SiLU as Mul(x, Sigmoid(x)), squeeze-and-excite's mean, a fork, three residual sums + one.
    needed = {"Conv", "BatchNormalization", "Relu", "Add", "Concat", "MaxPool", "Sigmoid", "Mul", "ReduceMean", "Gemm"}
    assert needed <= set(count)
    assert count["Add"] == 4
    groups = [onnx.helper.get_node_attr_value(node, "group") for node in model.graph.node if node.op_type == "Conv"]
    assert sorted(groups)[-2:] == [1, 96]


def test_a_residual_sum_has_an_identity_shortcut_and_another_a_projection(model):
    producers = {output: node for node in model.graph.node for output in node.output}
    shortcuts = [{producers[name].op_type for name in node.input} for node in model.graph.node if node.op_type == "Add"]
    assert {"BatchNormalization", "Relu"} in shortcuts
    assert {"BatchNormalization"} in shortcuts


def test_nearly_all_arithmetic_is_dense_3_by_3_convolution(model):
    shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
    size = {v.name: v.type.tensor_type.shape.dim[-1].dim_value for v in shapes}
    weights = {w.name: w.dims for w in model.graph.initializer}
    products: Counter[bool] = Counter()
    for node in (node for node in model.graph.node if node.op_type == "Conv"):
        kernel = weights[node.input[1]]
        is_dense = list(kernel[2:]) == [3, 3] and onnx.helper.get_node_attr_value(node, "group") == 1
        products[is_dense] += int(np.prod(kernel)) * size[node.output[0]] ** 2
    # Depthwise convolution is slower in integers than in float; the gain must come from elsewhere.
    assert products[True] / products.total() > 0.9


def test_the_files_are_small():
    assert digits_model_path().stat().st_size < 1_000_000
    assert (FOLDER / "digits.npz").stat().st_size < 100_000


def test_the_model_holds_neither_paths_nor_traces(model):
    bare = copy.deepcopy(model)
    for initializer in bare.graph.initializer:
        initializer.ClearField("raw_data")  # weights may look like anything
    assert re.findall(rb"(?:/[\w.-]+){2,}|[A-Z]:\\|\.py\b|stack_trace|site-packages", bare.SerializeToString()) == []
    owners = [model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer]
    assert [owner.doc_string for owner in owners if owner.doc_string] == []
    assert [prop.key for owner in owners for prop in getattr(owner, "metadata_props", [])] == []


def test_the_manifest_names_exactly_the_files_that_are_shipped():
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    shipped = {path.name for path in resources.files("quantlab.zoo").iterdir() if path.name.startswith("digits.")}
    assert set(manifest) == shipped == set(PROVENANCE)
    for name, entry in manifest.items():
        assert entry["sha256"] == sha256_of(FOLDER / name)
        assert entry["size_bytes"] == (FOLDER / name).stat().st_size
