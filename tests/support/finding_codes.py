"""Writes the page of codes: `python -m tests.support.finding_codes docs/finding-codes.md`."""

import pathlib
import sys

from signing_service.reports import finding_words

if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(finding_words.table(), encoding="utf-8")
