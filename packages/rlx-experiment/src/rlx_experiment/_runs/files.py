"""The JSON files of a run folder, read with an error that names the file."""

import json
from pathlib import Path
from typing import Any, cast


class DamagedRunError(ValueError):
    """A file of a run folder is damaged, or belongs to another tool."""

    def __init__(self, file: Path, why: str) -> None:
        """Say which file it is and what is wrong with it."""
        super().__init__(f"{file} is damaged ({why}); restore it, remove it, or choose another folder")
        self.file = file


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object in `file`.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedRunError: It holds anything else.
    """
    try:
        found: object = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedRunError(file, f"no JSON: {error}") from error
    except IsADirectoryError as error:
        raise DamagedRunError(file, "Is a directory") from error
    if not isinstance(found, dict):
        raise DamagedRunError(file, f"a JSON {type(found).__name__}, not an object")
    return cast("dict[str, Any]", found)
