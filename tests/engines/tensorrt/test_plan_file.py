"""A plan that is stale, foreign or damaged is refused before TensorRT sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.engines.tensorrt.layers import EngineLayer
from quantlab.engines.tensorrt.plan_file import (
    PlanRecord,
    file_hash,
    fingerprint,
    install_plan,
    read_plan,
    sidecar_of,
)
from quantlab.engines.tensorrt.shapes import ShapeRange
from quantlab.errors import EngineError
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import save
from tests.models import two_convs

L4, A10 = Gpu("NVIDIA L4", "8.9"), Gpu("NVIDIA A10", "8.6")
RECORD = PlanRecord(
    runtime="tensorrt",
    version="11.1.0",
    onnx_sha256=fingerprint(two_convs()),
    plan_sha256="",
    shapes={"image": ShapeRange((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))},
    gpu=L4,
    plugins={"ops.so": "00"},
    layers=(EngineLayer("conv", "correlation", ("conv1",), ("Int8",), ("Int8", "Float"), ("Float",)),),
    warnings=("small",),
    seconds=1.5,
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    built = tmp_path / "built"
    built.write_bytes(b"engine")
    install_plan(built, tmp_path / "net.plan", RECORD)
    return tmp_path / "net.plan"


def rewrite(plan: Path, record: PlanRecord) -> None:
    sidecar_of(plan).write_text(record.to_json(), encoding="utf-8")


def test_what_was_installed_is_read_back(plan: Path) -> None:
    data, record = read_plan(plan, model=two_convs())
    assert data == b"engine"
    assert replace(record, plan_sha256="") == RECORD
    assert sorted(path.name for path in plan.parent.iterdir()) == ["built", "net.plan", "net.plan.json"]


def test_a_plan_without_its_side_car_is_refused(plan: Path) -> None:
    sidecar_of(plan).unlink()
    with pytest.raises(EngineError, match=r"side-car net\.plan\.json is missing"):
        read_plan(plan)


def test_a_plan_that_was_replaced_is_refused(plan: Path) -> None:
    plan.write_bytes(b"another")
    with pytest.raises(EngineError, match=r"not the plan that net\.plan\.json describes"):
        read_plan(plan)


def test_a_plan_of_another_model_is_refused(plan: Path) -> None:
    with pytest.raises(EngineError, match="built from another model"):
        read_plan(plan, model=two_convs(channels=5))


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"nothing\.plan: there is no such plan"):
        read_plan(tmp_path / "nothing.plan")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "shapes": 3}'])
def test_a_side_car_that_is_none_is_refused(plan: Path, text: str) -> None:
    sidecar_of(plan).write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be read"):
        read_plan(plan)


def test_another_version_is_refused() -> None:
    with pytest.raises(EngineError, match=r"built by tensorrt 11\.1\.0, and this machine has 11\.4\.0"):
        RECORD.check("net.plan", version="11.4.0", gpu=L4)


def test_another_gpu_is_refused_and_the_same_kind_is_not() -> None:
    RECORD.check("net.plan", version="11.1.0", gpu=Gpu("NVIDIA L40", "8.9"))
    with pytest.raises(EngineError, match=r"built for NVIDIA L4 \(.* 8\.9\), and this machine has a NVIDIA A10"):
        RECORD.check("net.plan", version="11.1.0", gpu=A10)


def test_a_machine_without_a_gpu_is_told_so() -> None:
    with pytest.raises(EngineError, match="no NVIDIA GPU"):
        RECORD.check("net.plan", version="11.1.0", gpu=None)


def test_a_plan_of_tensorrt_rtx_runs_on_the_gpus_it_was_built_for() -> None:
    record = replace(RECORD, runtime="tensorrt_rtx", gpu=None, compute_capabilities=("8.6", "8.9"))
    record.check("net.plan", version="11.1.0", gpu=A10)
    with pytest.raises(EngineError, match=r"8\.6 or 8\.9"):
        record.check("net.plan", version="11.1.0", gpu=Gpu("NVIDIA H200", "9.0"))
    replace(record, compute_capabilities=()).check("net.plan", version="11.1.0", gpu=Gpu("NVIDIA H200", "9.0"))


def test_the_fingerprint_survives_saving_and_changes_with_a_weight(tmp_path: Path) -> None:
    model = two_convs()
    save(model, tmp_path / "net.onnx")
    assert fingerprint(load(tmp_path / "net.onnx")) == fingerprint(model)
    assert fingerprint(with_first_weight(model, 7.0)) != fingerprint(model)


def with_first_weight(model: Model, value: float) -> Model:
    changed = model.clone()
    weight = changed.constant("w1").copy()
    weight.flat[0] = np.float32(value)
    changed.graph.initializers["w1"].const_value = ir.tensor(weight, name="w1")
    return changed


@pytest.fixture
def with_plugin(tmp_path: Path) -> tuple[Path, PlanRecord]:
    """A plugin, and the record of a plan that was built with it."""
    (tmp_path / "build").mkdir()
    plugin = tmp_path / "build" / "ops.so"
    plugin.write_bytes(b"operators")
    return plugin, replace(RECORD, plugins={str(plugin): file_hash(plugin)})


def test_plugins_are_found_where_they_were_and_beside_a_plan_that_was_copied(
    with_plugin: tuple[Path, PlanRecord], tmp_path: Path
) -> None:
    plugin, record = with_plugin
    assert record.plugin_files(tmp_path / "net.plan") == (str(plugin),)
    plugin.rename(tmp_path / "ops.so")
    assert record.plugin_files(tmp_path / "net.plan") == (str(tmp_path / "ops.so"),)


def test_a_plugin_that_is_gone_or_has_changed_is_named(with_plugin: tuple[Path, PlanRecord], tmp_path: Path) -> None:
    plugin, record = with_plugin
    plugin.write_bytes(b"others")
    with pytest.raises(EngineError, match=rf"it needs the plugin ops\.so .* neither {plugin} nor a file beside"):
        record.plugin_files(tmp_path / "net.plan")
    plugin.unlink()
    with pytest.raises(EngineError, match="copy it there, or build the plan again"):
        record.plugin_files(tmp_path / "net.plan")
