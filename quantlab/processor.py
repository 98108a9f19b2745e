"""What the processor means for INT8: speed everywhere, and on x86-64 also correctness.

INT8 speed on a CPU hangs on one instruction family: dot products of 8-bit integers that add into 32 bits (VNNI and
AMX on x86-64, DotProd and I8MM on ARM). Without them INT8 is hardly faster than float; on x86-64 the sums of two
products of uint8 and int8 moreover go through 16 bits and saturate: 2 · 255 · 127 = 64,770 > 32,767.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
_X86 = ("x86_64", "amd64")


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor.

    Attributes:
        name: what its maker calls it.
        architecture: such as `x86_64` or `aarch64`.
        instructions: what matters for INT8 of what it has, such as `AVX-512 VNNI`; None where unknown.
    """

    name: str
    architecture: str
    instructions: tuple[str, ...] | None

    @property
    def has_int8_instructions(self) -> bool | None:
        """Whether it multiplies 8-bit integers into 32 bits; None where unknown."""
        if self.instructions is None:
            return None
        return not _INT8_FAMILIES.isdisjoint(self.instructions)

    @property
    def saturates_products(self) -> bool:
        """Whether products of uint8 and int8 are known to be added up in 16 bits."""
        return self.architecture.lower() in _X86 and self.has_int8_instructions is False


@lru_cache(maxsize=1)
def read_processor() -> Processor:
    """Return this machine's processor; Linux has it in a file, elsewhere asking takes about a second."""
    name, flags = _told()
    return Processor(name, platform.machine(), None if flags is None else families(flags))


def families(flags: Iterable[str]) -> tuple[str, ...]:
    """Return the instruction families among a processor's flags that matter for INT8, each once."""
    have = {flag.lower() for flag in flags}
    return tuple(dict.fromkeys(family for flag, family in _FAMILIES.items() if flag in have))


def parse_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...] | None]:
    """Return name and flags of the first processor in the text of `/proc/cpuinfo`, each None where it is not told."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
    flags = fields.get("flags", fields.get("features"))
    return fields.get("model name"), None if flags is None else tuple(flags.split())


def _told() -> tuple[str, tuple[str, ...] | None]:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        name, flags = parse_cpuinfo(listing.read_text(encoding="utf-8", errors="replace"))
        return name or platform.processor() or platform.machine(), flags
    import cpuinfo

    info = cpuinfo.get_cpu_info()
    found = info.get("flags")
    return info.get("brand_raw", platform.processor()), tuple(found) if found else None
