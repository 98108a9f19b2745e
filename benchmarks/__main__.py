"""python -m benchmarks [speed] [calibration] [memory] [kl] [networks]: print each number beside its target."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import calibration, kl, memory, networks, speed
from benchmarks.finding import Finding
from quantlab.evaluation.environment import read_environment

BENCHMARKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "speed": speed.run,
    "calibration": calibration.run,
    "memory": memory.run,
    "kl": kl.run,
    "networks": networks.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    # argparse checks the default of "*" against choices, so the choice is checked here.
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(BENCHMARKS)}; default: all")
    names = parser.parse_args().names or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}")
    print(_machine())
    findings = [finding for name in names for finding in _shown(name)]
    verdicts = [finding.verdict for finding in findings if finding.verdict]
    if verdicts:
        print(f"\n{verdicts.count('pass')} of {len(verdicts)} targets met")
    print(f"load of the machine at the end: {_load()}")


def _shown(name: str) -> Iterator[Finding]:
    print(f"\n{name}")
    for finding in BENCHMARKS[name]():
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
