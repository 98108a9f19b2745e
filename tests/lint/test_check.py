"""A report of many findings stays one that a person reads: each fault once, with its first places."""

from __future__ import annotations

from quantlab.lint.check import Lint
from quantlab.lint.finding import Finding, Severity


def finding(rule: str, severity: Severity, node: str, fix: str = "Mend it.") -> Finding:
    return Finding(rule, severity, node, f"{node}_out", "odd", why="It matters.", fix=fix)


def test_a_fault_at_many_nodes_is_explained_once() -> None:
    found = Lint("net.onnx", "tensorrt", tuple(finding("TRT103", "refused", f"n{index}") for index in range(9)))
    assert str(found).splitlines() == [
        *(f"TRT103 refused: n{index} (n{index}_out): odd" for index in range(4)),
        "TRT103 refused: and 5 more, which --json lists",
        "    why: It matters.",
        "    fix: Mend it.",
        "net.onnx: 9 findings for tensorrt (9 refused)",
    ]
    assert len(found.to_json()["findings"]) == 9


def test_the_gravest_comes_first_and_then_the_first_in_the_graph() -> None:
    findings = (
        finding("TRT302", "slow", "a"),
        finding("TRT201", "wrong", "b"),
        finding("TRT111", "refused", "c"),
        finding("TRT103", "refused", "d"),
        finding("TRT111", "refused", "e"),
    )
    places = [line for line in str(Lint("net", "tensorrt", findings)).splitlines() if line.startswith("TRT")]
    assert [place.split(":")[1].split()[0] for place in places] == ["c", "e", "d", "b", "a"]


def test_faults_with_another_remedy_stand_apart() -> None:
    both = (finding("TRT111", "refused", "a"), finding("TRT111", "refused", "b", fix="Leave it."))
    assert str(Lint("net", "tensorrt", both)).count("    fix: ") == 2


def test_what_concerns_the_whole_model_names_no_place() -> None:
    whole = Finding("TRT204", "slow", "", "", "nothing is quantized", why="So.", fix="Do.")
    assert whole.place == "TRT204 slow: nothing is quantized"
