"""Tables in narrow terminals: no number is cut, no name is lost."""

import pytest
from rich.console import Console

from quantlab.report.tables import plain_table


def shown(width: int) -> str:
    table = plain_table(["model", "median\nms", "95 %\ninterval", "peak\nMB"], title="Costs")
    table.add_row("fp32", "1234.567", "-", "3.2")
    table.add_row("onnxruntime", "0.621", "1.39..1.58", "4.3")
    table.add_row("", "7.000", "", "")
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("width", [28, 30, 36, 40, 60, 100, 200])
def test_every_name_and_number_is_whole_at_any_width(width):
    text = shown(width)
    for whole in ("Costs", "fp32", "onnxruntime", "1234.567", "0.621", "1.39..1.58", "4.3", "7.000"):
        assert whole in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_a_wide_terminal_shows_columns_and_a_narrow_one_blocks():
    assert "onnxruntime     0.621" in shown(60)
    block = ["onnxruntime", "  median ms: 0.621", "  95 % interval: 1.39..1.58", "  peak MB: 4.3", "  median ms: 7.000"]
    assert "\n".join(block) in shown(32)


def test_an_empty_table_is_shown_at_any_width():
    console = Console(width=10, color_system=None)
    with console.capture() as capture:
        console.print(plain_table(["model", "a long head", "another"]))
    assert "…" not in capture.get()
