"""python -m experiments [NAME ...]: repeat studies, write their results.json, and what README says of it.

Run from the repository's root, by whose folder the recipes name their files.
"""

from __future__ import annotations

import argparse
import time

from experiments.study import STUDIES, Study


def main() -> None:
    """Repeat the studies that are named by the beginning of their name, such as 001; all if none is."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to repeat: {', '.join(STUDIES)}")
    arguments = parser.parse_args()
    chosen = [name for name in STUDIES if not arguments.names or name.startswith(tuple(arguments.names))]
    if not chosen:
        parser.error(f"no study begins with {' or '.join(arguments.names)}; choose from {', '.join(STUDIES)}")
    for name in chosen:
        started = time.perf_counter()
        Study(name).repeat()
        print(f"{name}: done in {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
