"""On what machine, and with what versions, numbers were measured.

INT8 speed on a CPU hangs on one instruction family: dot products of 8-bit integers that add into 32 bits (VNNI and
AMX on x86-64, DotProd and I8MM on ARM). Without them INT8 is hardly faster than float; on x86-64 without VNNI, products
of uint8 activations and int8 weights moreover add up in 16 bits and may saturate.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from quantlab.cores import usable_cores

# One name per instruction family, by the names that operating systems and py-cpuinfo give it.
_FAMILIES: Mapping[str, str] = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avxvnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512vnni": "AVX-512 VNNI",
    "amx_int8": "AMX-INT8",
    "amxint8": "AMX-INT8",
    "asimddp": "DotProd",
    "i8mm": "I8MM",
}
_INT8_FAMILIES = frozenset({"AVX-VNNI", "AVX-512 VNNI", "AMX-INT8", "DotProd", "I8MM"})
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
        if self.instructions is None:
            return None
        return not _INT8_FAMILIES.isdisjoint(self.instructions)

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

    cpu, flags = _cpu()
    return Environment(
        cpu=cpu,
        architecture=platform.machine(),
        instructions=None if flags is None else families(flags),
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=usable_cores(),
        memory_bytes=int(psutil.virtual_memory().total),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: number for name in packages if (number := installed_version(name)) is not None},
    )


def families(flags: Iterable[str]) -> tuple[str, ...]:
    """Return the instruction families among a processor's flags that matter for INT8, each once."""
    have = {flag.lower() for flag in flags}
    return tuple(dict.fromkeys(family for flag, family in _FAMILIES.items() if flag in have))


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _cpu() -> tuple[str, tuple[str, ...] | None]:
    """Return the processor's name and flags; Linux has them in a file, elsewhere asking takes about a second."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        name, flags = parse_cpuinfo(listing.read_text(encoding="utf-8", errors="replace"))
        return name or platform.processor() or platform.machine(), flags
    import cpuinfo

    info = cpuinfo.get_cpu_info()
    found = info.get("flags")
    return info.get("brand_raw", platform.processor()), tuple(found) if found else None


def parse_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...] | None]:
    """Return name and flags of the first processor in the text of `/proc/cpuinfo`, each None where it is not told."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
    flags = fields.get("flags", fields.get("features"))
    return fields.get("model name"), None if flags is None else tuple(flags.split())
