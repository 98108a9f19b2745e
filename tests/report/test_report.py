import json

import pytest

from quantlab.errors import RunError
from quantlab.report.report import SCHEMA_VERSION, Report, schema


def whole(**changes: object) -> Report:
    """Return a document with every section, all of them empty."""
    return Report({**dict.fromkeys(schema()["required"]), "schema_version": SCHEMA_VERSION, **changes})


def test_a_report_reads_back_equal(tmp_path):
    report = whole(verdict="fine", warnings=["a", "b"])
    (tmp_path / "report.json").write_text(report.to_json())
    for path in (tmp_path, tmp_path / "report.json"):
        loaded = Report.load(path)
        assert loaded.same_as(report)
        assert loaded.warnings == ["a", "b"]
    assert not report.same_as(whole(verdict="poor"))


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '"text"', '{"version": 1}', "null"])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(RunError, match=r"mine\.json: this is no quantlab report"):
        Report.from_json(text, origin="mine.json")


@pytest.mark.parametrize(
    ("version", "advice"),
    [(SCHEMA_VERSION + 1, "update quantlab"), (SCHEMA_VERSION - 1, "quantlab run"), ("one", "quantlab run")],
)
def test_a_report_of_another_version_is_refused_with_what_to_do(version, advice):
    text = whole(schema_version=version).to_json()
    with pytest.raises(RunError, match=f"report version {version}, this quantlab reads {SCHEMA_VERSION}; .*{advice}"):
        Report.from_json(text)


def test_a_report_that_lacks_a_section_is_refused_by_its_name():
    content = {name: value for name, value in whole().content.items() if name != "evaluation"}
    with pytest.raises(RunError, match="no section 'evaluation'"):
        Report.from_json(json.dumps(content))


def test_a_section_of_the_future_is_carried_along():
    report = whole(later={"a": 1})
    assert Report.from_json(report.to_json()).content["later"] == {"a": 1}


def test_a_folder_without_a_report_is_told(tmp_path):
    with pytest.raises(RunError, match="no such file; give the folder of a finished run"):
        Report.load(tmp_path)


def test_a_binary_file_is_told(tmp_path):
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read"):
        Report.load(tmp_path)


def test_nan_never_reaches_a_report():
    with pytest.raises(ValueError, match="JSON"):
        whole(verdict=float("nan")).to_json()
