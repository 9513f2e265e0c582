"""One root error and its families; packages subclass a family beside the code that raises it.

A message says what was expected, what came and, where a person can act, what to do. It never
holds a secret, a name, an identity number or a phone number.
"""

from typing import ClassVar


class ImzaError(Exception):
    """The root of every error that this product raises on purpose.

    Attributes:
        code: A stable identifier in kebab-case that programs may compare.
        retriable: Whether the same call may succeed later without any change.
    """

    code: ClassVar[str] = "error"
    retriable: bool = False

    def __init__(self, message: str, *, retriable: bool | None = None) -> None:
        """Keep the message; `retriable` overrides the class's own value."""
        super().__init__(message)
        if retriable is not None:
            self.retriable = retriable

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.args[0])


class InputError(ImzaError):
    """What came in is malformed or not what was expected (HTTP 400 or 422)."""

    code = "invalid-input"


class NotFoundError(ImzaError):
    """The thing named does not exist (HTTP 404)."""

    code = "not-found"


class StateError(ImzaError):
    """The thing exists but is not in a state that allows the call (HTTP 409)."""

    code = "wrong-state"


class TooSoonError(ImzaError):
    """The caller has to wait before it may ask again (HTTP 429)."""

    code = "too-soon"
    retriable = True


class PolicyError(ImzaError):
    """A rule forbids what was asked (HTTP 403)."""

    code = "refused-by-policy"


class AccessError(PolicyError):
    """The caller did not show who it is, or may not do this (HTTP 401 or 403)."""

    code = "access-denied"


class UnauthenticatedError(AccessError):
    """The caller did not show who it is (HTTP 401).

    Attributes:
        challenge: The scheme by which it should (RFC 9110 11.6.1).
    """

    code = "unauthenticated"
    challenge: ClassVar[str] = "Bearer"


class LimitError(InputError):
    """The input is larger, deeper or more numerous than allowed (HTTP 413)."""

    code = "limit-exceeded"


class DeviceError(ImzaError):
    """A card, reader, phone or hardware module failed (HTTP 502, exit code 5)."""

    code = "device-failed"


class UnavailableError(DeviceError):
    """A device that the service itself signs with is away for now (HTTP 503)."""

    code = "device-unavailable"
    retriable = True


class StorageError(DeviceError):
    """A disk that must be written before anything else happens cannot be (HTTP 503)."""

    code = "storage-unavailable"
    retriable = True


class PeerError(ImzaError):
    """Another service did not answer or answered wrongly (HTTP 502, exit code 5)."""

    code = "peer-failed"
    retriable = True


class TamperedError(ImzaError):
    """Stored data is not what was stored: the operation halts and an operator must look."""

    code = "tampered"
