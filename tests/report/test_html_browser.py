"""The page in a real browser: its policy lets its own script run, and what the script makes is there."""

import os
import shutil
import subprocess

import pytest

import quantlab
from quantlab.report.html import to_html
from quantlab.report.report import Report
from tests.report.test_html import HOSTILE, Page, with_name
from tests.runs import UNTIMED, classifier, images

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium or google-chrome")


@pytest.fixture(scope="module")
def text() -> str:
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    return to_html(with_name(Report.from_json(run.report.to_json()), HOSTILE))


def shown(text: str, folder) -> Page:
    """Return the page as it is after its scripts have run."""
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    flags = ["--headless=new", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []  # chromium refuses to start for root with one
    command = [str(BROWSER), *flags, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return Page(done.stdout)


def test_the_script_runs_to_its_end_under_the_policy_of_the_page(text, tmp_path):
    page = shown(text, tmp_path)
    assert len([tag for tag in page.tags("input") if tag["type"] == "search"]) == len(
        [tag for tag in page.tags("table") if tag.get("class") == "searchable"]
    )
    draws = [tag for tag in page.tags("button") if tag.get("class") == "draws"]
    assert draws
    assert all(tag["aria-haspopup"] == "dialog" for tag in draws)
    assert page.tags("img") == []


def test_a_click_on_a_tensor_draws_its_histogram_and_every_range(text, tmp_path):
    start = text.index("<meta http-equiv")
    free = text[:start] + text[text.index(">", start) + 1 :]
    click = "<script>document.querySelector('button.draws').click()</script></body>"
    page = shown(free.replace("</body>", click), tmp_path)
    assert "open" in page.tags("dialog")[0]
    assert len([tag for tag in page.tags("rect") if tag["class"] == "bin"]) > 10
    said = page.said()
    assert all(name in said for name in ("minmax", "percentile", "mse", "entropy (this run)"))
