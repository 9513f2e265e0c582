"""The text that a relying party puts on the phone's screen, and what of it a SIM can show.

A text that does not fit is refused rather than cut: a person must read all of what they confirm.
"""

import enum
import unicodedata

from pki import errors

MAX_GSM7_CHARACTERS = 100
MAX_UCS2_CHARACTERS = 50
MAX_EXTENSION_CHARACTERS = 5
"""100 bytes on the SIM; characters of the extension table take two places each."""

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic character set of 3GPP TS 23.038 6.2.1."""

GSM7_EXTENSION = frozenset("€[]^|{}\\~\f")
"""Its extension table (3GPP TS 23.038 6.2.1.1)."""


class DisplayTextError(errors.InputError):
    """The text does not fit on the phone's screen."""

    code = "display-text-too-long"


class DisplayTextFormat(enum.Enum):
    """How the text is encoded on its way to the SIM."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


def shown_text(text: str, text_format: DisplayTextFormat) -> str:
    """Return what the phone will show.

    Characters that the format lacks become spaces, as the protocol says of GSM-7; so do control
    and formatting characters, which could make one text look like another.

    Raises:
        DisplayTextError: The text is longer than the SIM shows.
    """
    if text_format is DisplayTextFormat.UCS2:
        limit = MAX_UCS2_CHARACTERS
        shown = "".join(one if is_showable(one) else " " for one in text)
    else:
        limit = MAX_GSM7_CHARACTERS
        shown = "".join(
            one if one in GSM7 or (one in GSM7_EXTENSION and one != "\f") else " " for one in text
        )
        extension = sum(one in GSM7_EXTENSION for one in shown)
        if extension > MAX_EXTENSION_CHARACTERS:
            raise DisplayTextError(
                f"displayText must contain at most {MAX_EXTENSION_CHARACTERS} characters of the"
                f" GSM-7 extension table, got {extension}"
            )
    if len(text) > limit:
        raise DisplayTextError(
            f"displayText must not be longer than {limit} {text_format.value} characters,"
            f" got {len(text)}"
        )
    return shown


def format_for(text: str) -> DisplayTextFormat:
    """Return the format that keeps every letter: GSM-7 where it can, else UCS-2."""
    in_gsm7 = all(one in GSM7 or one in GSM7_EXTENSION for one in text)
    return DisplayTextFormat.GSM7 if in_gsm7 else DisplayTextFormat.UCS2


def is_showable(character: str) -> bool:
    """Whether a phone shows a character as it is, in UCS-2."""
    # UCS-2 has no characters above U+FFFF; Cf are invisible and turn the writing direction.
    return character == "\n" or (
        ord(character) <= 0xFFFF and unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
