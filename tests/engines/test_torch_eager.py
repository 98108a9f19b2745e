"""Float models in torch, as rows of an evaluation."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = pytest.mark.torch

from quantlab.contenders import TorchRows, open_contenders  # noqa: E402 - after the check for torch
from quantlab.engines.torch_eager import TorchEager  # noqa: E402
from quantlab.errors import EngineError  # noqa: E402
from quantlab.evaluation import EvaluationSettings  # noqa: E402
from quantlab.evaluation.latency import LatencySettings  # noqa: E402
from quantlab.evaluation.verdict import verdict  # noqa: E402
from quantlab.graph.export_torch import export_torch  # noqa: E402
from quantlab.side_by_side import Samples, evaluate  # noqa: E402
from tests.models import two_convs  # noqa: E402
from tests.runs import images  # noqa: E402

EAGER = TorchRows(eager=TorchEager(threads=1))


class Nested(torch.nn.Module):  # type: ignore[name-defined, misc]
    """A module of two inputs whose outputs lie in a dictionary."""

    def forward(self, left, right):
        return {"parts": (left * 2, right + left), "none": None, "sum": left + right}


def test_a_module_runs_under_the_names_of_its_export():
    module = Nested()
    model = export_torch(module, {"left": torch.ones(2, 3), "right": torch.ones(2, 3)})
    feeds = {"left": np.full((4, 3), 2, np.float32), "right": np.ones((4, 3), np.float32)}
    with TorchEager(threads=1, module=module).open(model) as session:
        outputs = session.run(feeds)
    assert list(outputs) == ["parts_0", "parts_1", "sum"]
    assert [float(value[0, 0]) for value in outputs.values()] == [4, 3, 3]


def test_a_module_gives_no_inner_tensors_and_says_what_it_failed_on():
    module = torch.nn.Linear(3, 2)
    model = export_torch(module, torch.ones(2, 3))
    with pytest.raises(EngineError, match="gives its outputs only, not 'x'"):
        TorchEager(module=module).open(model, taps=["x"])
    with (
        TorchEager(threads=1, module=torch.nn.Linear(4, 2)).open(model) as session,
        pytest.raises(EngineError, match="Linear: it failed while running"),
    ):
        session.run({"input": np.ones((1, 3), np.float32)})


def test_float_models_get_a_row_in_torch_and_quantized_ones_do_not():
    module = torch.nn.Linear(3, 2)
    contenders = open_contenders([two_convs(), (module, torch.ones(1, 3))], torch=EAGER)
    assert [(each.name.endswith(" in torch"), each.engine is None) for each in contenders] == [
        (False, True),
        (True, False),
        (False, True),
        (True, False),
    ]
    engines = [each.engine for each in contenders if isinstance(each.engine, TorchEager)]
    assert [engine.module for engine in engines] == [None, module]
    assert [engine.describe()["runs"] for engine in engines] == ["the exported graph", "the module itself"]


def test_the_row_in_torch_is_timed_and_agrees_and_nobody_is_told_not_to_deploy_it():
    latency = LatencySettings(runs=8, warmup=1, seconds=5)
    settings = EvaluationSettings(latency_batch_sizes=(1,), latency=latency, has_memory=False)
    evaluation = evaluate(open_contenders([two_convs()], torch=EAGER), Samples(images(), limit=4), settings=settings)
    _, row = evaluation.rows
    assert row.latencies
    assert not row.is_simulated
    assert row.sqnr is not None
    assert row.sqnr.db > 90  # float32 against float32, summed in another order
    assert "Not worth it" not in verdict(evaluation)
