"""Open models: few at a time, and never an old one."""

import pytest

from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import EngineError, RunError
from quantlab.graph.save import save
from quantlab.serve.models import ModelCache, model_files
from quantlab.serve.run_list import RunList
from tests.models import two_convs
from tests.runs import classifier, images
from tests.serve.conftest import change_report


def test_a_model_is_opened_once_and_the_one_not_used_for_longest_is_closed(tmp_path):
    for name in "abc":
        save(classifier(), tmp_path / f"{name}.onnx")
    cache = ModelCache(OnnxRuntime(threads=1), most=2)
    a, b = cache.open(tmp_path / "a.onnx"), cache.open(tmp_path / "b.onnx")
    assert cache.open(tmp_path / "a.onnx") is a
    cache.open(tmp_path / "c.onnx")
    with pytest.raises(EngineError, match="closed"):
        b.session.run({"image": images(1)})
    a.session.run({"image": images(1)})
    cache.close()
    with pytest.raises(EngineError, match="closed"):
        a.session.run({"image": images(1)})


def test_a_file_that_has_changed_is_opened_anew(tmp_path):
    save(classifier(), tmp_path / "a.onnx")
    cache = ModelCache(OnnxRuntime(threads=1))
    before = cache.open(tmp_path / "a.onnx")
    save(two_convs(), tmp_path / "a.onnx")
    assert cache.open(tmp_path / "a.onnx") is not before


def test_the_models_of_a_run_are_those_its_report_lists_the_float_one_first(root):
    runs = RunList.open(root)
    assert list(model_files(runs, runs.entry("one"), runs.report("one"))) == ["fp32", "onnxruntime"]


def test_a_model_that_is_gone_or_was_never_kept_is_told(root):
    runs = RunList.open(root)
    (root / "one" / "model.fp32.onnx").unlink()
    with pytest.raises(RunError, match=r"one: its model.fp32.onnx is missing"):
        model_files(runs, runs.entry("one"), runs.report("one"))
    change_report(root / "one", files={"../../etc.onnx": {}, "model.../../x.onnx": {}})
    with pytest.raises(RunError, match="has kept no models"):
        model_files(runs, runs.entry("one"), runs.report("one"))


def test_a_model_that_is_a_link_out_of_the_folder_is_refused(root, made):
    runs = RunList.open(root)
    (root / "one" / "model.fp32.onnx").unlink()
    (root / "one" / "model.fp32.onnx").symlink_to(made / "one" / "model.fp32.onnx")
    with pytest.raises(RunError, match="link out of the served folder"):
        model_files(runs, runs.entry("one"), runs.report("one"))
