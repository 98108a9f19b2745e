from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from quantlab.report.prose import Prose


def printed(text: str, width: int = 20) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(Prose(text), crop=False)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_long_line_goes_on_under_a_hanging_indent():
    assert printed("one two three four five six") == ["one two three four", "  five six"]


def test_an_indented_line_keeps_its_indent():
    assert printed("  one two three four five") == ["  one two three four", "    five"]


def test_a_path_is_never_cut():
    path = "runs/a-rather-long-name/model.onnx"
    assert printed(f"see {path}") == ["see", f"  {path}"]


def test_markup_is_shown_as_it_stands():
    assert printed("[red]a[/red] [0]") == ["[red]a[/red] [0]"]


@given(st.lists(st.text("abc-/.", min_size=1, max_size=15), min_size=1, max_size=20), st.integers(20, 60))
def test_no_word_is_lost_and_no_line_is_too_wide(words, width):
    lines = printed(" ".join(words), width)
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)
