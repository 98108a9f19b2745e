"""python -m benchmarks [NAME ...]: print each number beside its target.

Those for a GPU run only when named: python -m benchmarks gpu_calibration --device cuda
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import (
    calibration,
    gpu_calibration,
    gpu_encodings,
    gpu_overhead,
    gpu_qat,
    gpu_scaling,
    kl,
    memory,
    networks,
    parity,
    speed,
    tensorrt,
)
from benchmarks.finding import Finding
from benchmarks.scale import Scale
from quantlab.evaluation.environment import read_environment

BENCHMARKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "speed": speed.run,
    "calibration": calibration.run,
    "memory": memory.run,
    "kl": kl.run,
    "networks": networks.run,
    "parity": parity.run,
    "tensorrt": tensorrt.run,
}
ON_A_GPU: dict[str, Callable[[Scale], Iterator[Finding]]] = {
    "gpu_calibration": gpu_calibration.run,
    "gpu_encodings": gpu_encodings.run,
    "gpu_overhead": gpu_overhead.run,
    "gpu_scaling": gpu_scaling.run,
    **{
        f"gpu_qat_{name}_{target}": gpu_qat.of_network(name, target)
        for name in ("mobilenet_v2", "vit_tiny")
        for target in ("onnxruntime", "tensorrt")
    },
}


def main() -> None:
    known = [*BENCHMARKS, *ON_A_GPU]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    # argparse checks the default of "*" against choices, so the choice is checked here.
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(known)}")
    parser.add_argument("--device", default="auto", help="of those for a GPU: cpu, cuda, cuda:1 or auto")
    parser.add_argument(
        "--tiny", action="store_true", help="only see whether those for a GPU run; numbers mean nothing"
    )
    arguments = parser.parse_args()
    names = arguments.names or list(BENCHMARKS)
    for name in names:
        if name not in known:
            parser.error(f"there is no benchmark {name!r}; choose from {', '.join(known)}")
    print(_machine())
    scale = Scale(arguments.device, arguments.tiny)
    findings = [finding for name in names for finding in _shown(name, scale)]
    verdicts = [finding.verdict for finding in findings if finding.verdict]
    if verdicts:
        print(f"\n{verdicts.count('pass')} of {len(verdicts)} targets met")
    print(f"load of the machine at the end: {_load()}")


def _shown(name: str, scale: Scale) -> Iterator[Finding]:
    print(f"\n{name}")
    for finding in BENCHMARKS[name]() if name in BENCHMARKS else ON_A_GPU[name](scale):
        print(f"  {finding}", flush=True)
        yield finding


def _machine() -> str:
    lines = [str(read_environment()), f"load of the machine at the start: {_load()}"]
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and " hypervisor " in cpuinfo.read_text():
        lines.append("a virtual machine: what else runs on its host is not seen here")
    return "\n".join(lines)


def _load() -> str:
    """Return how many threads wanted to run, over 1, 5 and 15 minutes; more than there are cores is too many."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
