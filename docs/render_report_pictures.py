"""Renders the pictures of a report that README shows: `python docs/render_report_pictures.py`, or `make screenshot`.

Quantizes the bundled digits network, opens the report in headless Chromium (chromium and chromedriver are needed) and
takes the head of the page and its section on ranges. The numbers are those of the machine it runs on.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver

import quantlab
from quantlab.report.html import to_html

FOLDER = Path(__file__).parent
WIDTH = 1100
TENSOR = "relu"
"""Whose histogram is shown: what the first convolution leaves."""

# A box on the page: left, top, width, height.
Box = tuple[float, float, float, float]
_TO_RANGES = """
const box = document.getElementById('explorer').getBoundingClientRect();
return [0, box.top + scrollY - 10, box.width, box.height + 20];
"""
_TO_LAYERS = "return document.querySelector('#section-2').getBoundingClientRect().top + scrollY"
_CHOOSE = """
const tensor = document.getElementById('explorer-tensor');
tensor.value = arguments[0];
tensor.dispatchEvent(new Event('change'));
"""


def main() -> int:
    """Render both pictures; return an exit code."""
    if shutil.which("chromedriver") is None:
        print("chromedriver is not installed; on Debian: apt install chromium chromium-driver", file=sys.stderr)
        return 1
    run = quantlab.ptq()
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        page = Path(folder) / "report.html"
        page.write_text(to_html(run.report), encoding="utf-8")
        driver.get(page.as_uri())
        bottom = float(driver.execute_script(_TO_LAYERS))
        take(driver, (0, 0, WIDTH, bottom), FOLDER / "report.png")
        driver.execute_script(_CHOOSE, TENSOR)
        _, top, _, height = driver.execute_script(_TO_RANGES)
        take(driver, (0, top, WIDTH, height), FOLDER / "report-ranges.png")
    return 0


@contextmanager
def browser() -> Iterator[Any]:
    """Start a headless browser with a window of the pictures' width, in the light theme."""
    options = webdriver.ChromeOptions()
    flags = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars")
    for flag in (*flags, "--disable-component-update", "--disable-sync"):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # chromium refuses to start for root with one
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()


def take(driver: Any, box: Box, path: Path) -> None:  # noqa: ANN401 (the driver has no types)
    """Write a part of the page as a picture."""
    clip = {**dict(zip(("x", "y", "width", "height"), box, strict=True)), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
