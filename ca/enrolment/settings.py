"""The `[enrolment]` section of the settings file; without it there is no `/cmp`."""

import dataclasses
import datetime
import pathlib

from pki import errors

MIN_SECRET_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Settings:
    """How people enrol over the wire.

    Attributes:
        secret_file: Holds at least 32 random bytes; the secrets of references are derived from it.
        reference_validity: How long a new reference can be used.
        confirmation_wait: How long a certificate awaits its confirmation before it is revoked.
    """

    secret_file: pathlib.Path
    reference_validity: datetime.timedelta = datetime.timedelta(days=14)
    confirmation_wait: datetime.timedelta = datetime.timedelta(hours=1)

    def load_secret(self) -> bytes:
        """Return what the references' secrets are derived from.

        Raises:
            InputError: The file is missing, or too short to hold a random secret.
        """
        try:
            secret = self.secret_file.read_bytes().strip()
        except OSError as error:
            raise errors.InputError(
                f"{self.secret_file}: cannot be read ({error.strerror})"
            ) from error
        if len(secret) < MIN_SECRET_BYTES:
            raise errors.InputError(
                f"{self.secret_file}: expected at least {MIN_SECRET_BYTES} random bytes"
            )
        return secret
