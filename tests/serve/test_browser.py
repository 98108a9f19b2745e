"""The pages in a real browser: scripts run under the policy, nothing overflows, and a choice holds."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from quantlab.serve.app import create_app
from tests.browser import follow, headless, needs_browser
from tests.serve.conftest import workbench_of

pytest.importorskip("selenium.webdriver", reason="needs selenium")
pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(made) -> Iterator[str]:
    workbench = workbench_of(made)
    server = make_server("127.0.0.1", 0, create_app(workbench), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
    workbench.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as driver:
        yield driver


def resize(browser, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["/", "/try?run=one&sample=0", "/compare?run=one&run=group/two", "/report?run=one"])
def test_no_page_overflows_or_complains(browser, address, width, path):
    resize(browser, width)
    browser.get(address + path)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []


def test_runs_are_searched_sorted_and_chosen(browser, address):
    resize(browser, 1280)
    browser.get(address)
    rows = "table.runs tbody tr"
    search = browser.find_element("css selector", "input[type=search]")
    search.send_keys("minmax")
    assert [row.is_displayed() for row in browser.find_elements("css selector", rows)].count(True) == 1
    search.clear()
    search.send_keys(" ")
    head = browser.find_element("xpath", "//th/button[text()='Calibrator']")
    for order in (["entropy", "minmax"], ["minmax", "entropy"]):
        head.click()
        shown = [row.find_elements("tag name", "td")[2].text for row in browser.find_elements("css selector", rows)]
        assert shown == order
    compare = browser.find_element("id", "compare")
    boxes = browser.find_elements("css selector", "input[name=run]")
    for box, is_enough in zip(boxes, (False, True), strict=True):
        box.click()
        assert compare.is_enabled() is is_enough
    follow(browser, compare)
    assert "2 runs side by side" in browser.find_element("tag name", "h1").text


def test_the_theme_that_was_chosen_holds_on_the_next_page(browser, address):
    browser.get(address)
    before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    browser.find_element("id", "theme").click()
    browser.get(f"{address}/try?run=one")
    after = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert after != before
    browser.find_element("id", "theme").click()
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == before


def test_a_file_is_sent_and_answered(browser, address, tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    browser.get(f"{address}/try?run=one")
    browser.find_element("id", "file").send_keys(str(tmp_path / "red.png"))
    follow(browser, browser.find_element("xpath", "//button[text()='Try it']"))
    assert "red.png" in browser.find_element("tag name", "figcaption").text
    assert browser.find_element("css selector", "img.seen").size["width"] > 100
    assert browser.get_log("browser") == []
