"""What every registered engine promises."""

from __future__ import annotations

import numpy as np
import pytest

from quantlab.engines import Engine, TensorRT, available_engines, engine_named
from quantlab.errors import DataError, EngineError
from tests.engines.fake import FakeEngine
from tests.engines.models import chain, fixed_batch, rounding, two_inputs
from tests.engines.tensorrt.fake_machine import play_machine

PLAYED = "tensorrt, played"
ENGINES_TO_TEST = [*available_engines(), "fake", PLAYED]
X = np.array([[1.0, -2.0, 0.0, 3.5], [0.5, 0.25, -1.0, 2.0]], np.float32)


@pytest.fixture(params=ENGINES_TO_TEST)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if request.param == PLAYED:
        play_machine(monkeypatch)
        return TensorRT()
    return FakeEngine() if request.param == "fake" else engine_named(request.param)


def test_outputs_come_back_by_name(engine: Engine):
    with engine.open(chain()) as session:
        outputs = session.run({"x": X})
    assert list(outputs) == ["y"]
    assert outputs["y"].dtype == np.float32
    # The one transcendental of the chain may differ by rounding between runtimes.
    np.testing.assert_allclose(outputs["y"], 1 / (1 + np.exp(np.abs(X))), rtol=1e-5)


def test_taps_come_after_the_outputs_in_the_order_given(engine: Engine):
    with engine.open(chain(), taps=("b", "a")) as session:
        assert session.outputs == ("y", "b", "a")
        outputs = session.run({"x": X})
    assert list(outputs) == ["y", "b", "a"]
    np.testing.assert_array_equal(outputs["a"], np.abs(X))
    np.testing.assert_array_equal(outputs["b"], -np.abs(X))


def test_a_tap_may_be_an_input_an_output_or_named_twice(engine: Engine):
    with engine.open(chain(), taps=("x", "y", "a", "a")) as session:
        assert session.outputs == ("y", "x", "a")
        np.testing.assert_array_equal(session.run({"x": X})["x"], X)


def test_an_unknown_tap_is_refused_by_name(engine: Engine):
    with pytest.raises(EngineError, match="tap 'nowhere'"):
        engine.open(chain(), taps=("nowhere",))


def test_opening_leaves_the_model_as_it_was(engine: Engine):
    model = chain()
    with engine.open(model, taps=("a",)):
        pass
    assert model.outputs == ("y",)


def test_running_leaves_the_feeds_as_they_were(engine: Engine):
    feeds = {"x": X.copy()}
    with engine.open(chain()) as session:
        session.run(feeds)
    np.testing.assert_array_equal(feeds["x"], X)


def test_outputs_of_one_run_survive_the_next_and_the_end_of_the_session(engine: Engine):
    with engine.open(chain(), taps=("a",)) as session:
        kept = session.run({"x": X})
        session.run({"x": X + 10})
    np.testing.assert_array_equal(kept["a"], np.abs(X))


def test_any_batch_size_runs_where_the_model_leaves_it_free(engine: Engine):
    with engine.open(chain()) as session:
        for size in (1, 3, 2):
            assert session.run({"x": np.ones((size, 4), np.float32)})["y"].shape == (size, 4)


def test_feeds_that_are_no_contiguous_block_are_read_rightly(engine: Engine):
    wide = np.arange(16, dtype=np.float32).reshape(2, 8)
    with engine.open(chain(), taps=("a",)) as session:
        np.testing.assert_array_equal(session.run({"x": wide[:, ::2]})["a"], wide[:, ::2])


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "no data for it"),
        ({"x": X, "more": X}, "no such input"),
        ({"x": X.astype(np.float64)}, "data are float64"),
        ({"x": X[:, :3]}, "shape"),
        ({"x": X[0]}, "shape"),
    ],
)
def test_feeds_that_do_not_fit_are_refused(engine: Engine, feeds: dict[str, np.ndarray], message: str):
    with engine.open(chain()) as session, pytest.raises(DataError, match=message):
        session.run(feeds)


def test_a_fixed_batch_size_is_kept(engine: Engine):
    with engine.open(fixed_batch()) as session:
        assert session.run({"x": X})["y"].shape == (2, 4)
        with pytest.raises(DataError, match="shape"):
            session.run({"x": X[:1]})


def test_a_closed_session_is_refused(engine: Engine):
    with engine.open(chain()) as session:
        pass
    with pytest.raises(EngineError, match="closed"):
        session.run({"x": X})


def test_several_inputs_are_fed_by_name(engine: Engine):
    with engine.open(two_inputs()) as session:
        np.testing.assert_array_equal(session.run({"z": X, "x": 2 * X})["y"], 3 * X)


def test_quantized_tensors_can_be_tapped(engine: Engine):
    with engine.open(rounding(), taps=("q", "d")) as session:
        outputs = session.run({"x": X})
    assert outputs["q"].dtype == np.int8
    np.testing.assert_array_equal(outputs["q"], np.rint(X / np.float32(0.5)))
    np.testing.assert_array_equal(outputs["d"], outputs["q"] * np.float32(0.5))


def test_two_sessions_do_not_mix(engine: Engine):
    with engine.open(chain(), taps=("a",)) as one, engine.open(fixed_batch()) as other:
        first = one.run({"x": X})["a"]
        np.testing.assert_array_equal(other.run({"x": X})["y"], -first)


def test_an_engine_describes_itself_in_words(engine: Engine):
    description = engine.describe()
    assert description["engine"] == engine.name
    assert description["version"]
    assert all(isinstance(value, str) for value in description.values())
    assert isinstance(engine.is_simulation, bool)
