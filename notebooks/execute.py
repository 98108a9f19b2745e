"""Run every notebook of this folder in a Jupyter kernel, each cell in order; the files themselves stay without outputs.

Run from anywhere:  python notebooks/execute.py [--save FOLDER] [NAME ...]
With --save, the notebooks with their outputs are written there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS_PER_CELL = 300


def main() -> None:
    """Execute notebooks; a cell that fails ends the script with its trace."""
    parser = argparse.ArgumentParser(description="Run the notebooks in a Jupyter kernel.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="file names; all if none is given")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write the executed notebooks here")
    arguments = parser.parse_args()
    paths = [HERE / name for name in arguments.names] or sorted(HERE.glob("*.ipynb"))
    for path in paths:
        started = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        # In the repository's root, where a user who follows README starts Jupyter.
        client = NotebookClient(notebook, timeout=SECONDS_PER_CELL, resources={"metadata": {"path": str(HERE.parent)}})
        client.execute()
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        print(f"{path.name}: {cells} cells in {time.perf_counter() - started:.1f} s", flush=True)
        if arguments.save:
            arguments.save.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, arguments.save / path.name)


if __name__ == "__main__":
    main()
