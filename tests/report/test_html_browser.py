"""The pages in a real browser: scripts run to their end, and sorting, searching, themes and sliders work."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import quantlab
from quantlab.affine import Range, encoding_from_range, fake_quantize
from quantlab.report.html import joined_to_html, to_html
from quantlab.report.joining import join
from quantlab.report.report import Report
from quantlab.scheme import Scheme
from tests.browser import headless, needs_browser
from tests.report.test_html import HOSTILE, with_name
from tests.report.test_training_page import content as training_content
from tests.runs import UNTIMED, classifier, images, labels

pytest.importorskip("selenium.webdriver", reason="needs selenium")
pytestmark = needs_browser


@pytest.fixture(scope="module")
def report() -> Report:
    settings = {**UNTIMED, "latency_batches": (1,), "layer_samples": 4, "targets": ("onnxruntime", "tensorrt")}
    crude: dict[str, Any] = {"calibrator": "percentile", "calibrator_options": {"percentile": 60.0}}
    crude["sensitivity_samples"] = 2
    run = quantlab.ptq(classifier(), (images(), labels()), **settings, **crude)
    return Report.from_json(run.report.to_json())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as driver:
        yield driver


@pytest.fixture(scope="module")
def address(report, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(to_html(report), encoding="utf-8")
    return str(file.as_uri())


def opened(browser, address: str, *, width: int = 1280, is_dark: bool = False) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get(address)


def find(browser, selector: str) -> Any:
    return browser.find_elements("css selector", selector)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("is_dark", [False, True])
def test_a_page_opens_from_disk_without_complaint_and_never_wider_than_the_window(browser, address, width, is_dark):
    opened(browser, address, width=width, is_dark=is_dark)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plots = find(browser, "figure.plot, #explorer .place")
    # Latency and trade-off, noise and sensitivity by target, resources, the two of the explorer.
    assert len(plots) == 2 + 2 + 2 + 1 + 2
    assert all(find(plot, "canvas") for plot in plots)
    assert all(plot.size["width"] <= width for plot in find(browser, ".uplot"))


def test_a_page_of_hostile_names_and_one_of_joined_runs_open_without_complaint(browser, report, tmp_path):
    for name, text in (
        ("hostile", to_html(with_name(report, HOSTILE))),
        ("joined", joined_to_html(join({HOSTILE: report, "b": Report(dict(report.content))}))),
    ):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        opened(browser, (tmp_path / f"{name}.html").as_uri(), width=390)
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1280, 390])
def test_the_curves_of_a_training_and_joined_runs_in_time_can_be_read_at_any_width(browser, report, tmp_path, width):
    trained = Report({**report.content, "qat": training_content()["qat"]})
    pages = {"trained": to_html(trained), "joined": joined_to_html(join({"a": report, "b": trained}))}
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        opened(browser, (tmp_path / f"{name}.html").as_uri(), width=width)
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        drawn = browser.execute_script(
            "return [...document.querySelectorAll('.curves text')].map((text) => {"
            "  const box = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect();"
            "  return [box.height, box.left - all.left, all.right - box.right]; })"
        )
        assert len(drawn) > 5
        # Nine pixels of height are letters of about seven points; none is cut off at the drawing's edges.
        assert [box for box in drawn if box[0] < 9 or min(box[1:]) < 0] == []


def test_a_click_on_a_head_sorts_both_ways_and_unknown_numbers_stay_last(browser, address):
    opened(browser, address)
    table = find(browser, "table.searchable")[0]
    column = [head.text for head in find(table, "thead th")].index("SQNR dB")
    head = find(table, "thead th button")[column]

    def values() -> list[float | None]:
        cells = find(table, f"tbody tr td:nth-child({column + 1})")
        told = [cell.get_attribute("data-value") for cell in cells]
        return [float(value) if value else None for value in told]

    for sign in (1, -1):
        head.click()
        known = [value for value in values() if value is not None]
        assert known == sorted(known, key=lambda value: sign * value)
        assert None not in values()[: len(known)]
    assert find(table, "th[aria-sort=descending]")[0].text.startswith("SQNR dB")


def test_a_search_leaves_the_rows_with_every_word(browser, address):
    opened(browser, address)
    field, table = find(browser, "input[type=search]")[0], find(browser, "table.searchable")[0]
    field.send_keys("conv2 int8")
    shown = [row.text for row in find(table, "tbody tr") if row.is_displayed()]
    assert len(shown) == 1
    assert "conv2" in shown[0]
    assert find(browser, ".search [role=status]")[0].text == "1 of 6 rows"


def test_the_button_changes_the_theme_and_plots_follow(browser, address):
    opened(browser, address)
    before = browser.execute_script("return document.querySelector('#explorer canvas').toDataURL()")
    light = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    find(browser, "#theme")[0].click()
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != light
    assert browser.execute_script("return document.querySelector('#explorer canvas').toDataURL()") != before
    assert find(browser, "#theme")[0].text == "Light theme"


def test_a_layer_leads_to_its_tensor_and_back(browser, address):
    opened(browser, address)
    button = find(browser, "table.searchable button.draws")[-1]
    tensor = button.get_attribute("data-tensor")
    browser.execute_script("arguments[0].click()", button)
    assert find(browser, "#explorer-tensor")[0].get_attribute("value") == tensor
    find(browser, "#explorer-back")[0].click()
    assert browser.switch_to.active_element == button


def told(browser) -> dict[str, float]:
    content: dict[str, float] = json.loads(find(browser, "#explorer-said")[0].get_attribute("data-cost"))
    return content


def test_the_slider_takes_keys_and_trades_clipping_for_rounding(browser, address):
    opened(browser, address)
    wide = told(browser)
    slider = find(browser, "#explorer-high")[0]
    for _ in range(40):
        slider.send_keys("\ue012")  # arrow left
    narrow = told(browser)
    assert narrow["share"] > wide["share"]
    assert narrow["clipping"] > wide["clipping"]
    assert narrow["rounding"] < wide["rounding"]
    assert "clipped" in slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
def test_the_page_computes_the_scale_and_the_error_of_the_arithmetic(browser, address, report, target):
    opened(browser, address)
    script = """
      const tensor = Object.keys(DATA.histograms.ranges[arguments[0]])[1], form = DATA.forms[arguments[0]][tensor];
      const seen = DATA.histograms.tensors[tensor], bins = binsOf(seen), high = 0.6 * bins[bins.length - 1][1];
      const encoding = encode(-high / 3, high, form);
      return [tensor, -high / 3, high, form, encoding, costOf(bins, seen.count, encoding)];
    """
    tensor, low, high, form, encoding, cost = browser.execute_script(script, target)
    scheme = Scheme("uint8" if form["integers"][1] == 255 else "int8", symmetric=form["symmetric"])
    expected = encoding_from_range(Range.of(low, high), scheme)
    assert np.float32(encoding["scale"]) == expected.scale
    assert encoding["zero"] == expected.zero_point
    histogram = report.content["histograms"]["tensors"][tensor]
    spread = (np.arange(1000) + 0.5) / 1000  # values spread evenly in every bin, as the page takes them to be
    noise = power = 0.0
    for sign, side in ((1, "positive"), (-1, "negative")):
        for k, count in enumerate(histogram[side]):
            values = (sign * (k + spread) * histogram["width"]).astype(np.float32)
            noise += count * float(np.mean((values - fake_quantize(values, expected)).astype(np.float64) ** 2))
            power += count * float(np.mean(values.astype(np.float64) ** 2))
    # A thousand points stand for the integral: the midpoint rule is off by less than a thousandth of it.
    assert cost["sqnr"] == pytest.approx(10 * np.log10(power / noise), abs=0.01)


def test_names_of_near_points_cover_neither_points_nor_each_other(browser, address):
    opened(browser, address, width=390)
    script = """
      const canvas = document.createElement("canvas"), ctx = canvas.getContext("2d");
      const u = { ctx, bbox: { left: 60, top: 10, width: 280, height: 200 } };
      const spots = [[300, 30], [304, 32], [298, 60], [62, 30], [180, 208]];
      const boxes = spots.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
      spots.forEach((spot, k) => nameBeside(u, `onnxruntime ${k}`, spot, "#000", boxes));
      return boxes;
    """
    boxes = browser.execute_script(script)
    names = boxes[5:]
    assert len(names) == 5
    for index, name in enumerate(names):
        assert 60 <= name[0] < name[2] <= 340
        assert 10 <= name[1] < name[3] <= 210
        for other in boxes[: 5 + index]:
            assert name[0] >= other[2] or name[2] <= other[0] or name[1] >= other[3] or name[3] <= other[1]


def test_a_page_prints_in_light_colours_whatever_the_theme(browser, address):
    opened(browser, address, is_dark=True)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"]
    assert len(pdf) > 10_000
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.dataset.theme === undefined")
