"""How busy NVIDIA GPUs are, from the driver's own library (package nvidia-ml-py)."""

from __future__ import annotations

from typing import Any

from quantlab.errors import EngineMissing


class NvidiaGpus:
    """The GPUs that this process may use.

    Attributes:
        names: what the driver calls them.
    """

    def __init__(self, library: Any, handles: list[Any]) -> None:  # noqa: ANN401 (the library has no types)
        self._library, self._handles = library, handles
        self.names = tuple(_text(library.nvmlDeviceGetName(handle)) for handle in handles)

    def look(self) -> tuple[float, int, float | None]:
        """Return the share that is busy, the bytes in use and the watts drawn, summed over all."""
        busy = sum(self._library.nvmlDeviceGetUtilizationRates(handle).gpu for handle in self._handles)
        used = sum(int(self._library.nvmlDeviceGetMemoryInfo(handle).used) for handle in self._handles)
        return busy / 100, used, self._watts()

    def _watts(self) -> float | None:
        try:
            return float(sum(self._library.nvmlDeviceGetPowerUsage(handle) for handle in self._handles)) / 1000
        except self._library.NVMLError:
            return None  # some devices do not tell their power


def open_gpus() -> NvidiaGpus:
    """Return the GPUs of this machine.

    Raises:
        EngineMissing: the package is not installed, or there is no driver or no GPU.
    """
    try:
        import pynvml
    except ImportError as error:
        raise EngineMissing("nvidia-ml-py is not installed; pip install 'quantlab[monitor]'") from error
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        gpus = NvidiaGpus(pynvml, handles)
        gpus.look()
    except pynvml.NVMLError as error:
        raise EngineMissing(f"no NVIDIA GPU can be looked at here ({error})") from error
    if not handles:
        raise EngineMissing("there is no NVIDIA GPU here")
    return gpus


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
