"""A report on a terminal."""

from pki import terminal_text
from signing_service.reports import sheet


def set_sheet(one: sheet.Sheet) -> str:
    """Return the report as lines of text; a stranger's control characters do not get through."""
    name = one.document[0].text
    lines = [f"{name}: {one.verdict}"]
    for section in one.sections:
        lines.append(f"  {section.heading}: {section.verdict}")
        width = max(len(line.label) for line in section.lines)
        lines += [f"    {line.label:<{width}}  {line.text}" for line in section.lines]
        if section.stages:
            lines.append(f"    {one.wording.course}:")
        for stage in section.stages:
            lines.append(f"     {stage.heading}")
            for block in stage.blocks:
                lines.append(f"      {block.heading}: {block.verdict}")
                lines += [f"        {rule.mark} {rule.text}" for rule in block.rules]
    lines += [f"  {line.label}: {line.text}" for line in one.document[1:]]
    lines += [f"  {note}" for note in one.notes]
    return "\n".join(map(terminal_text.printable, lines))
