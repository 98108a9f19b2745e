"""What the package data is: `manifest.json` names each file's sha256, size, licence and source."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from quantlab.files import replacing

FOLDER = Path(__file__).parent
PROVENANCE = {
    "digits.npz": {
        "what": "1797 handwritten digits of 8 by 8 counts, their labels, and the fixed split",
        "made_by": "python -m quantlab.zoo.pack",
        "licence": "CC BY 4.0",
        "source": "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, doi 10.24432/C50P49",
    },
    "digits.onnx": {
        "what": "classifier of the digits at 32 by 32, float32",
        "made_by": "python -m quantlab.zoo.train",
        "licence": "Apache-2.0",
        "source": "trained for quantlab on the train part of digits.npz",
    },
}


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder: Path = FOLDER) -> None:
    """Write `manifest.json` for those files that are in the folder, atomically."""
    files = {name: folder / name for name in PROVENANCE if (folder / name).exists()}
    entries = {
        name: {"sha256": sha256_of(path), "size_bytes": path.stat().st_size} | PROVENANCE[name]
        for name, path in files.items()
    }
    with replacing(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
