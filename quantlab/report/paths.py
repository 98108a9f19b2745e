"""Plain values of a report → the same without the paths of the machine that made it.

Where files lie is nobody's business but the owner's: below the working folder paths are told relative to it, below
the home folder with `~`. Other absolute paths stay, since they are what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def without_private_paths(value: Any, *, working: Path | None = None, home: Path | None = None) -> Any:  # noqa: ANN401
    """Return JSON values with every path in every text shortened.

    Args:
        value: texts, numbers, lists and dictionaries; keys are left as they are.
        working: the working folder; None for that of this process.
        home: the home folder; None for the user's.
    """
    shorter = [(working or Path.cwd(), ""), (home or Path.home(), "~/")]
    patterns = [(_below(folder), by) for folder, by in shorter if len(folder.parts) > 1]
    return _shortened(value, patterns)


def _below(folder: Path) -> re.Pattern[str]:
    """Match the folder where a path begins, not where another path goes on."""
    return re.compile(rf"(?<![\w./~-]){re.escape(str(folder))}/")


def _shortened(value: Any, patterns: list[tuple[re.Pattern[str], str]]) -> Any:  # noqa: ANN401 (JSON is of any type)
    if isinstance(value, str):
        for pattern, by in patterns:
            value = pattern.sub(by, value)
        return value
    if isinstance(value, Mapping):
        return {key: _shortened(item, patterns) for key, item in value.items()}
    return [_shortened(item, patterns) for item in value] if isinstance(value, list | tuple) else value
