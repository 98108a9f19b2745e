"""The examples that onnx ships for its operators, and the old architectures among them, computed before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx.backend.test
import pytest

from quantlab.errors import ModelError
from quantlab.graph.load import load
from quantlab.graph.prepare import prepare
from tests.graph.models import assert_same_outputs, ops, outputs_of, random_feeds

pytestmark = [
    pytest.mark.slow,
    # The examples are computed while they are collected, infinities included.
    pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning"),
]

ARCHITECTURES = sorted((Path(onnx.backend.test.__file__).parent / "data" / "light").glob("*.onnx"))
# These feed Range a tensor of one axis, which ONNX Runtime notices once the branch they do it in is gone.
INVALID = ("test_affine_grid_2d_expanded", "test_affine_grid_2d_align_corners_expanded")


@pytest.mark.parametrize("path", ARCHITECTURES, ids=lambda path: path.stem)
def test_an_architecture_of_opset_9_is_prepared_without_changing_its_outputs(path):
    model = load(path)
    after = prepare(model)
    assert model.opset == 9
    assert after.opset == 13
    assert_same_outputs(model, after, random_feeds(model, batch=1))
    assert not {"Identity", "Dropout"} & set(ops(after))


def test_every_operator_computes_the_same_after_preparing():
    from onnx.backend.test.loader import load_model_tests

    refused, different, ran = [], [], 0
    for case in load_model_tests(kind="node"):
        feeds = _feeds(case)
        if feeds is None or case.name in INVALID:
            continue
        try:
            assert case.model is not None
            model = load(case.model.SerializeToString())
            before = outputs_of(model, feeds)
        except Exception:  # noqa: BLE001 - not about preparing: no input, or ONNX Runtime has no kernel for it
            continue
        if not all(isinstance(array, np.ndarray) for array in before.values()):
            continue
        ran += 1
        try:
            assert_same_outputs(model, prepare(model), feeds)
        except ModelError as error:
            refused.append(f"{case.name}: {error}")
        except AssertionError as error:
            different.append(f"{case.name}: {error}")
    assert ran > 1000
    assert not different
    # The first is of opset 8; the scales of the second are fed.
    assert sorted(line.split(":")[0] for line in refused) == ["test_scan_sum", "test_upsample_nearest"]


def _feeds(case: Any) -> dict[str, Any] | None:
    """Return what an example feeds, or None where it is not only tensors of numbers."""
    values = dict(zip((value.name for value in case.model.graph.input), case.data_sets[0][0], strict=False))
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays if arrays and len(arrays) == len(values) else None
