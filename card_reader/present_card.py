"""Find the card that is there and choose how to speak to it."""

import pathlib

from card_reader import module_card, pcsc_card, readers, signing_card


def open_card(
    reader: str | None = None, *, module: pathlib.Path | None = None
) -> signing_card.SigningCard:
    """Return the card in the named reader, or in the first reader that has one.

    A PKCS#11 module knows more kinds of card than our own APDUs do, so it is preferred: the one
    named, else OpenSC's; without either, the card must be a PIV card.

    Raises:
        ReaderServiceDownError: The PC/SC service does not answer.
        NoReaderError: No reader, or none of this name.
        NoCardError: No card is in it.
    """
    name = readers.find_card(reader).name
    try:
        return module_card.ModuleCard(name, module)
    except module_card.ModuleMissingError:
        return pcsc_card.PcscCard(name)
