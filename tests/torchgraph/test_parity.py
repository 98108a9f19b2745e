"""Whole models compute in torch what they compute in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantlab.graph.model import Model
from quantlab.torchgraph.module import GraphModule
from tests.graph.models import outputs_of, random_feeds
from tests.patterns import PATTERNS

pytestmark = pytest.mark.torch

# Both sum float32 in an order of their own: some thousand products, of 24 bits each.
TOLERANCE = 1e-5


def assert_parity(model: Model) -> None:
    """Check that outputs agree within 1e-5 of the largest magnitude of each."""
    feeds = random_feeds(model)
    wanted = outputs_of(model, feeds)
    with torch.no_grad():
        got = GraphModule(model)({name: torch.from_numpy(array) for name, array in feeds.items()})
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        limit = TOLERANCE * float(np.abs(array).max())
        np.testing.assert_allclose(got[name].numpy(), array, rtol=0, atol=limit, err_msg=name)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_computes_the_same(name: str) -> None:
    assert_parity(PATTERNS[name]())
