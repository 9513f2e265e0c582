"""A PIV card in software that answers APDUs behind a virtual reader."""
