"""Makes `photos/` from photographs that scikit-image ships: one folder per photograph, four square crops of each.

Run `python calib_data/make_photos.py` with scikit-image and Pillow installed, then write the new hash into
datasets.toml: `python -c "from pathlib import Path; from quantlab.data.datasets import sha256_of as s;
print(s(Path('calib_data/photos')))"`. The hash changes with the version of the JPEG encoder, the crops do not.

Only photographs whose licence allows anything are used; README.md lists them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

PHOTOGRAPHS = {
    "brick": skimage.data.brick,
    "camera": skimage.data.camera,
    "cat": skimage.data.cat,
    "coffee": skimage.data.coffee,
    "galaxies": skimage.data.hubble_deep_field,
    "gravel": skimage.data.gravel,
    "retina": skimage.data.retina,
    "rocket": skimage.data.rocket,
}
CROPS = 4
SIDE = 128
QUALITY = 88
# A crop takes between half and all of the shorter side, so that objects come in several sizes.
LEAST_SHARE = 0.5


def make_photos(folder: Path) -> None:
    """Write the crops under a folder; the same crops each time."""
    for number, (name, load) in enumerate(PHOTOGRAPHS.items()):
        image = Image.fromarray(load())
        rng = np.random.default_rng(number)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for crop in range(CROPS):
            side = int(min(image.size) * rng.uniform(LEAST_SHARE, 1.0))
            left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
            square = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            square.save(folder / name / f"{crop}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    make_photos(Path(__file__).parent / "photos")
