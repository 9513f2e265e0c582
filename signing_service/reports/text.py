"""A report on a terminal."""

import textwrap

from pki import terminal_text
from signing_service.reports import sheet

WIDTH = 80
"""Columns; a digest that is longer than a line is not broken, so that it can be copied."""


def set_sheet(one: sheet.Sheet) -> str:
    """Return the report as lines of text; a stranger's control characters do not get through."""
    name = one.document[0].text
    lines = _wrapped("", f"{name}: {one.verdict}")
    for section in one.sections:
        lines += _wrapped("  ", f"{section.heading}: {section.verdict}")
        width = max(len(line.label) for line in section.lines)
        for line in section.lines:
            lines += _wrapped(f"    {line.label:<{width}}  ", line.whole)
        if section.stages:
            lines.append(f"    {one.wording.course}:")
        for stage in section.stages:
            lines.append(f"     {stage.heading}")
            for block in stage.blocks:
                lines += _wrapped("      ", f"{block.heading}: {block.verdict}")
                for rule in block.rules:
                    lines += _wrapped(f"        {rule.mark} ", rule.whole)
    for line in one.document[1:]:
        lines += _wrapped("  ", f"{line.label}: {line.whole}")
    for note in one.notes:
        lines += _wrapped("  ", note)
    return "\n".join(lines)


def _wrapped(start: str, text: str) -> list[str]:
    """Lines of at most `WIDTH` columns, the text of all of them behind the first one's start."""
    return textwrap.wrap(
        terminal_text.printable(text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [start.rstrip()]
