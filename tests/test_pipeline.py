import json
from typing import Any

import numpy as np
import pytest

import quantlab
from quantlab.errors import DataError, ModelError
from quantlab.graph.load import load
from quantlab.graph.save import to_bytes
from quantlab.targets import TARGETS
from tests.models import noise, two_convs

IMAGES = noise(24, 3, 8, 8)
FAST: dict[str, Any] = {"threads": 1, "samples": 16, "latency_batches": ()}


def quick(data: object = None, **settings: Any) -> quantlab.Run:
    """Run `ptq` on two convolutions, without timing."""
    return quantlab.ptq(two_convs(channels=32), IMAGES if data is None else data, **{**FAST, **settings})


def test_ptq_on_arrays_gives_an_int8_model_per_target_and_an_evaluation():
    run = quick(targets=tuple(TARGETS))
    assert set(run.quantized) == set(TARGETS)
    assert run.evaluation.samples == 8
    for made in run.quantized.values():
        assert made.model.constant("w2_quantized").dtype == np.int8


def test_the_model_that_was_given_stays_as_it_was():
    model = two_convs(channels=32)
    before = to_bytes(model)
    quantlab.ptq(model, IMAGES, **FAST)
    assert to_bytes(model) == before


def test_every_run_of_a_folder_writes_the_files_of_the_design(tmp_path):
    quick(out=tmp_path, targets=tuple(TARGETS))
    models = {f"model.{target}.int8.onnx" for target in TARGETS}
    names = {"recipe.toml", "stats.npz", "state.json", "plan.json", "model.fp32.onnx", "report.json", "report.html"}
    assert {path.name for path in tmp_path.iterdir()} == models | names
    assert load(tmp_path / "model.onnxruntime.int8.onnx").outputs == ("scores",)


def test_a_finished_pass_is_not_repeated(tmp_path):
    quick(out=tmp_path)
    before = (tmp_path / "stats.npz").stat().st_mtime_ns
    quick(out=tmp_path, calibrator="minmax")
    assert (tmp_path / "stats.npz").stat().st_mtime_ns == before


def test_other_data_of_the_same_size_are_collected_anew(tmp_path):
    first = quick(out=tmp_path)
    second = quick(out=tmp_path, data=IMAGES * 2)
    assert not first.statistics.same_as(second.statistics)


def test_random_data_are_only_used_by_name_and_marked():
    run = quantlab.ptq("digits", "random", **FAST)
    assert any("random" in warning.lower() for warning in run.report.warnings)


def test_a_quantized_model_is_refused():
    with pytest.raises(ModelError, match="quantized already"):
        quantlab.ptq(quick().quantized["onnxruntime"].model, IMAGES)


def test_nan_in_the_data_names_the_sample():
    images = IMAGES.copy()
    images[3, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="3"):
        quick(images)


def test_the_report_is_json_without_nan_and_reads_back():
    report = quick().report
    assert type(report).from_json(report.to_json()).same_as(report)
    json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in the report"))
