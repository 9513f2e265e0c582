"""The DER of certificates and revocation data in diagnostic data, where it is asked for."""

import base64

from signing_service.validation.diagnostics import diagnostic_data

MAX_BYTES = 8 * 2**20
"""Of all values together: what a worker may answer with is limited. The rest has digests alone."""


class Values:
    """Gives values in base64 until the limit."""

    def __init__(self, extent: diagnostic_data.Extent) -> None:
        """Give none unless they were asked for."""
        self._left = MAX_BYTES if extent is diagnostic_data.Extent.VALUES else 0

    def told(self, der: bytes) -> str | None:
        """The value, or None."""
        if len(der) > self._left:
            return None
        self._left -= len(der)
        return base64.b64encode(der).decode("ascii")
