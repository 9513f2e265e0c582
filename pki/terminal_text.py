"""Strangers' text on a terminal: shown, and never obeyed.

Names of files and of signers may hold control characters, which clear a line and write another
verdict, and marks that turn the direction of writing (ECMA-48, UAX 9).
"""

import json

REPLACEMENT = "\ufffd"


def printable(text: str) -> str:
    """Return a line in which everything that cannot be printed is shown as such."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else REPLACEMENT for one in text)


def printable_json(text: str) -> str:
    """Return JSON that says the same, with escapes for what cannot be printed (RFC 8259 7).

    Args:
        text: JSON; line breaks between its values stay.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text
    )
