"""Everything a run tells, as one document: what `report.json` holds and the terminal shows.

The document is plain JSON with a version; `schema.json` beside this file describes it (JSON Schema 2020-12). Sections
may be added without changing the version, as long as readers that do not know them can go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from quantlab.errors import RunError

SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """One run's document.

    Attributes:
        content: JSON values by section; see `schema.json`.
    """

    content: Mapping[str, Any]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The evaluated models, the float reference first."""
        rows: Sequence[Mapping[str, Any]] = self.content["evaluation"]["rows"]
        return rows

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences a user must see."""
        warnings: Sequence[str] = self.content["warnings"]
        return warnings

    def to_json(self) -> str:
        """Return the document as JSON text."""
        return json.dumps(self.content, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, origin: str = "report") -> Report:
        """Read what `to_json` wrote.

        Args:
            text: JSON.
            origin: the file's name, for messages.

        Raises:
            RunError: the text is no report, or one of another version.
        """
        try:
            content = json.loads(text)
            version = content["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{origin}: this is no quantlab report; give the report.json of a run") from error
        if version != SCHEMA_VERSION:
            is_newer = isinstance(version, int) and version > SCHEMA_VERSION
            advice = "update quantlab" if is_newer else "make it anew with `quantlab run` on the recipe.toml beside it"
            raise RunError(f"{origin}: report version {version}, this quantlab reads {SCHEMA_VERSION}; {advice}")
        missing = [name for name in schema()["required"] if name not in content]
        if missing:
            raise RunError(f"{origin}: the report has no section {missing[0]!r}; give the whole report.json of a run")
        return cls(content)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read a report.

        Args:
            path: a `report.json`, or the folder of a run.

        Raises:
            RunError: there is no such file, or it is no report that this version reads.
        """
        path = Path(path)
        file = path / "report.json" if path.is_dir() else path
        try:
            return cls.from_json(file.read_text(encoding="utf-8"), origin=str(file))
        except FileNotFoundError as error:
            hint = "give the folder of a finished run; an interrupted one goes on with the command that began it"
            raise RunError(f"{file}: there is no such file; {hint}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{file}: the report cannot be read ({error}); give the report.json of a run") from error

    def same_as(self, other: Report) -> bool:
        """Whether both documents are equal."""
        return self.to_json() == other.to_json()


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of the document."""
    content: Mapping[str, Any] = json.loads((resources.files("quantlab.report") / "schema.json").read_text("utf-8"))
    return content
