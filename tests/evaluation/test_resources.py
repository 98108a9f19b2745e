"""What a run takes of the machine."""

import sys
import time
import types

import pytest

from quantlab.errors import EngineMissing
from quantlab.evaluation.resources import MOST_LOOKS, Look, Monitor, _Seen
from quantlab.evaluation.resources_gpu import open_gpus
from quantlab.progress import silent


class TwoGpus:
    names = ("one", "other")

    def look(self):
        return 1.5, 2_000, 300.0


def test_a_monitor_sees_the_work_of_this_process_and_when_steps_ran():
    with Monitor(gpus=TwoGpus()) as monitor, monitor.watching(silent)("counting", 3) as advance:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            advance(0)
    seen = monitor.result()
    assert sum(look.cores > 0 for look in seen.looks) > 0
    assert all(look.memory_bytes > 1e6 for look in seen.looks)
    assert [step.label for step in seen.steps] == ["counting"]
    assert 0.2 < seen.steps[0].stop - seen.steps[0].start <= seen.looks[-1].seconds + 0.5
    assert seen.looks[0].gpu_watts == 300.0
    columns = seen.to_json()["looks"]
    assert len({len(column) for column in columns.values()}) == 1
    assert "gpu_share" in columns


def test_a_step_that_fails_is_noted_and_its_error_goes_on():
    monitor = Monitor(gpus=TwoGpus())
    with pytest.raises(ValueError, match="broken"), monitor, monitor.watching(silent)("failing", None):
        raise ValueError("broken")
    assert [step.label for step in monitor.result().steps] == ["failing"]


def test_a_long_run_needs_no_more_room_than_a_short_one():
    seen = _Seen()
    for second in range(10 * MOST_LOOKS):
        seen.add(Look(float(second), 1.0, 1))
    assert len(seen.looks) < MOST_LOOKS
    assert seen.looks[0].seconds == 0.0
    assert seen.pause > 0.5


def test_why_no_gpu_was_looked_at_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with Monitor() as monitor:
        pass
    assert "pip install 'quantlab[monitor]'" in (monitor.result().gpu_reason or "")
    assert monitor.result().to_json()["gpus"] == []


def driver(**functions):
    fake = types.ModuleType("pynvml")
    error = type("NVMLError", (Exception,), {})
    plain = {
        "NVMLError": error,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: f"GPU {handle}".encode(),
        "nvmlDeviceGetUtilizationRates": lambda handle: types.SimpleNamespace(gpu=40),
        "nvmlDeviceGetMemoryInfo": lambda handle: types.SimpleNamespace(used=5),
        "nvmlDeviceGetPowerUsage": lambda handle: 70_000,
    }
    for name, value in {**plain, **functions}.items():
        setattr(fake, name, value)
    return fake


def test_gpus_are_summed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", driver())
    gpus = open_gpus()
    assert gpus.names == ("GPU 0", "GPU 1")
    assert gpus.look() == (0.8, 10, 140.0)


def test_a_machine_without_a_gpu_or_driver_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", driver(nvmlDeviceGetCount=lambda: 0))
    with pytest.raises(EngineMissing, match="no NVIDIA GPU"):
        open_gpus()
    fake = driver()

    def refuse():
        raise fake.NVMLError("Driver Not Loaded")

    fake.nvmlInit = refuse
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    with pytest.raises(EngineMissing, match="Driver Not Loaded"):
        open_gpus()


def test_a_gpu_that_does_not_tell_its_power_is_looked_at_without(monkeypatch):
    fake = driver()

    def refuse(handle):
        raise fake.NVMLError("Not Supported")

    fake.nvmlDeviceGetPowerUsage = refuse
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    assert open_gpus().look()[2] is None


@pytest.mark.gpu
@pytest.mark.torch
def test_the_driver_of_a_real_gpu_tells_work_memory_and_power():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    matrix = torch.ones(4096, 4096, device="cuda")
    with Monitor() as monitor, monitor.watching(silent)("multiplying", 1) as advance:
        stop = time.monotonic() + 1.0  # the driver tells a mean over its last 0.2 to 1 s
        while time.monotonic() < stop:
            matrix = matrix @ matrix * 0
            torch.cuda.synchronize()
        advance(1)
    seen = monitor.result()
    assert seen.gpus
    assert max(look.gpu_share or 0 for look in seen.looks) > 0.1
    assert max(look.gpu_memory_bytes or 0 for look in seen.looks) > matrix.nbytes
    assert max(look.gpu_watts or 0 for look in seen.looks) > 10
