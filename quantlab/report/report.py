"""Everything a run tells, as one document: what `report.json` holds and the terminal shows.

The document is plain JSON with a version; `schema.json` beside this file describes it. Later sections are added
without changing the version as long as older readers can ignore them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

        Raises:
            RunError: the text is no report, or one of a later version.
        """
        try:
            content = json.loads(text)
            version = content["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{origin}: this is no quantlab report; give the report.json of a run") from error
        if version != SCHEMA_VERSION:
            raise RunError(f"{origin}: report version {version}, this quantlab reads {SCHEMA_VERSION}; update quantlab")
        return cls(content)

    def same_as(self, other: Report) -> bool:
        """Whether both documents are equal."""
        return self.to_json() == other.to_json()
