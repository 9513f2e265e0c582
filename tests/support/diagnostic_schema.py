"""Writes the JSON Schema of diagnostic data: `python -m tests.support.diagnostic_schema FILE`."""

import pathlib
import sys

from signing_service.reports import diagnostic

if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(diagnostic.schema_text(), encoding="utf-8")
