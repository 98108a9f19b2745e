"""Which inner loops are used, and what using them costs and needs."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from quantlab.stats import TensorCounter, TensorStatistics, kernel, statistics_of


@pytest.fixture
def fresh_choice() -> Iterator[None]:
    kernel._fastest_kernel.cache_clear()
    yield
    kernel._fastest_kernel.cache_clear()


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, quantlab.stats; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.usefixtures("fresh_choice")
def test_numba_is_preferred() -> None:
    assert kernel.fastest_kernel().name == "numba"


@pytest.mark.usefixtures("fresh_choice")
def test_numpy_counts_where_the_compiler_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert kernel.fastest_kernel().name == "numpy"


@pytest.mark.usefixtures("fresh_choice")
def test_numpy_counts_and_says_so_where_numba_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "quantlab.stats.kernel_numba", raising=False)
    monkeypatch.delattr(sys.modules["quantlab.stats"], "kernel_numba", raising=False)
    with caplog.at_level(logging.WARNING):
        assert kernel.fastest_kernel().name == "numpy"
    assert "counting with numpy" in caplog.text


def test_without_a_folder_for_compiled_code_numba_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from quantlab.stats import kernel_numba

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba.core.dispatcher.Dispatcher, "enable_caching", refuse)
    scan = kernel_numba.compile_loops(kernel_numba._scan, "Tuple((int32, int32))(int32[::1])")
    assert scan(np.array([3, -1, 2], np.int32)) == (-1 ^ 0x7FFFFFFF, 3)


def test_threads_count_their_tensors_as_one_thread_does() -> None:
    arrays = [np.random.default_rng(seed).standard_normal(20_000).astype(np.float32) for seed in range(6)]

    def count(values: np.ndarray) -> TensorStatistics:
        counter = TensorCounter()
        for part in np.array_split(values, 7):
            counter.add(part)
        return counter.statistics()

    with ThreadPoolExecutor(3) as pool:
        threaded = list(pool.map(count, arrays))
    assert all(one.same_as(statistics_of(values)) for one, values in zip(threaded, arrays, strict=True))


def test_keys_order_floats_and_tell_the_finite_ones() -> None:
    values = np.array([-np.inf, -3e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 2.0, 3.4e38, np.inf, np.nan], np.float32)
    numpy = kernel.numpy_kernel()
    keys = [numpy.scan(value.reshape(1).view(np.int32)) for value in values]
    assert keys == sorted(keys)
    assert [kernel.is_finite(*key) for key in keys] == [False] + [True] * 8 + [False] * 2
    assert [kernel.value_of_key(low) for low, _ in keys[1:9]] == [float(value) for value in values[1:9]]
