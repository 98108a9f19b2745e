"""On what machine, and with what versions, numbers were measured."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from quantlab.cores import usable_cores
from quantlab.processor import Processor, read_processor

_PACKAGES = ("quantlab", "numpy", "onnx", "onnx-ir", "onnxruntime", "torch")


@dataclass(frozen=True, slots=True)
class Environment:
    """A machine and its software.

    Attributes:
        cpu: the processor's name.
        architecture: such as `x86_64` or `aarch64`.
        instructions: what matters for INT8 of what the processor has, such as `AVX-512 VNNI`; None where unknown.
        physical_cores: None where the operating system does not tell.
        usable_cores: logical cores that this process may use.
        memory_bytes: main memory.
        system: operating system and release.
        python: the version.
        packages: version by name, of those installed.
    """

    cpu: str
    architecture: str
    instructions: tuple[str, ...] | None
    physical_cores: int | None
    usable_cores: int
    memory_bytes: int
    system: str
    python: str
    packages: Mapping[str, str]

    @property
    def has_int8_instructions(self) -> bool | None:
        """Whether the processor multiplies 8-bit integers into 32 bits; None where unknown."""
        return self._processor.has_int8_instructions

    @property
    def saturates_products(self) -> bool:
        """Whether products of uint8 and int8 are known to be added up in 16 bits."""
        return self._processor.saturates_products

    @property
    def _processor(self) -> Processor:
        return Processor(self.cpu, self.architecture, self.instructions)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        data = asdict(self)
        return {**data, "instructions": None if self.instructions is None else list(self.instructions)}

    def __str__(self) -> str:
        cores = "?" if self.physical_cores is None else str(self.physical_cores)
        instructions = "unknown" if self.instructions is None else ", ".join(self.instructions) or "none for INT8"
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu} ({self.architecture}, {cores} cores, {self.usable_cores} usable threads, "
            f"{self.memory_bytes / 2**30:.1f} GiB), instructions: {instructions}\n"
            f"{self.system}, Python {self.python}, {packages}"
        )


def read_environment(packages: Iterable[str] = _PACKAGES) -> Environment:
    """Return what this machine is.

    Args:
        packages: distributions whose versions to tell, where they are installed.
    """
    import psutil

    processor = read_processor()
    return Environment(
        cpu=processor.name,
        architecture=processor.architecture,
        instructions=processor.instructions,
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=usable_cores(),
        memory_bytes=int(psutil.virtual_memory().total),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: number for name in packages if (number := installed_version(name)) is not None},
    )


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
