"""A CMS SignedData in a file, whose content is hashed where it lies and never held (RFC 5652 5.1).

The headers around the content are read by themselves. Everything else is put together again around
an empty content and read as any other SignedData.
"""

import dataclasses
import mmap
import pathlib
from collections.abc import Iterator

from pki import der, errors, originals
from signing_service.validation.cades import signed_data
from signing_service.validation.cms import ber

MAX_BYTES = 2**28
"""Largest CMS that is read, with its content."""
MAX_AROUND_BYTES = 20 * 2**20
"""Largest of the fields around the content, such as all revocation data."""
HELD_BYTES = 2**20
"""Largest CMS that is simply read into memory."""

_MAX_FIELDS = 3
"""Behind the content: certificates, revocation data, signers."""
_CONTEXT_0 = 0xA0
_PIECES = der.OCTET_STRING | 0x20
_END = b"\0\0"
_PADDING = b"\0\r\n"
_CHUNK = 2**18


def read(path: pathlib.Path) -> signed_data.SignedData:
    """Read a file; raises as `signed_data.parse` does, and `LimitError` over the limits here."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise errors.LimitError(f"expected CMS of at most {MAX_BYTES} bytes")
    if size <= HELD_BYTES:
        return signed_data.parse(path.read_bytes())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Reader(path, data).read()
        except _OtherFormError:
            # Detached, or of a form that is rare. It is held, within the limit for that.
            if size > signed_data.MAX_BYTES:
                raise errors.LimitError(
                    f"expected CMS of at most {signed_data.MAX_BYTES} bytes in such a form"
                ) from None
            return signed_data.parse(data[:])


def has_other_bytes_behind(path: pathlib.Path, end: int) -> bool:
    """Whether something but padding follows the CMS in a file."""
    with path.open("rb") as file:
        file.seek(end)
        while chunk := file.read(_CHUNK):
            if chunk.strip(_PADDING):
                return True
    return False


class _OtherFormError(errors.InputError):
    """The headers are not those of a SignedData with octets inside, in DER or common BER."""


@dataclasses.dataclass(frozen=True)
class _Open:
    """An element whose header was read: where it begins, and where it ends if that is said."""

    start: int
    end: int | None


class _Reader:
    """Goes through the elements of a file once, in their order."""

    def __init__(self, path: pathlib.Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._at = 0
        self._was_definite = True

    def read(self) -> signed_data.SignedData:
        """Read the message; raises `_OtherFormError` where it is to be read as a whole."""
        try:
            return self._read()
        except ber.BERError as error:
            raise _OtherFormError(error.message) from error

    def _read(self) -> signed_data.SignedData:
        message = self._enter(der.SEQUENCE)
        identifier = self._copy()
        wrapped = self._enter(_CONTEXT_0)
        body = self._enter(der.SEQUENCE)
        version, algorithms = self._copy(), self._copy()
        encapsulated = self._enter(der.SEQUENCE)
        content_type = self._copy()
        explicit = self._enter(_CONTEXT_0)
        pieces = list(self._content())
        self._leave(explicit)
        self._leave(encapsulated)
        encapsulated_end = self._at
        rest = b"".join(self._remaining(body))
        self._leave(wrapped)
        self._leave(message)
        before = version + algorithms

        def around(size: int) -> tuple[bytes, bytes]:
            """What stands before a content of a size: the whole message, its part with it."""
            inner = der.encode_header(der.OCTET_STRING, size)
            inner = der.encode_header(_CONTEXT_0, len(inner) + size) + inner
            inner = der.encode_header(der.SEQUENCE, len(content_type + inner) + size) + (
                content_type + inner
            )
            outer = before + inner
            for tag, in_front in (
                (der.SEQUENCE, b""),
                (_CONTEXT_0, identifier),
                (der.SEQUENCE, b""),
            ):
                header = der.encode_header(tag, len(outer) + size + len(rest))
                outer = in_front + header + outer
            return outer, inner

        skeleton = signed_data.parse(around(0)[0] + rest)
        sent = whole = originals.of_parts(self._path, [(0, self._at)])
        part = originals.of_parts(
            self._path, [(encapsulated.start, encapsulated_end - encapsulated.start)]
        )
        if not self._was_definite:
            outer, inner = around(sum(size for _, size in pieces))
            whole = originals.of_parts(self._path, [outer, *pieces, rest])
            part = originals.of_parts(self._path, [inner, *pieces])
        return dataclasses.replace(
            skeleton,
            message=whole,
            sent=sent,
            encapsulated=part,
            content=originals.of_parts(self._path, pieces),
            ends_at=self._at,
        )

    def _header(self) -> tuple[int, int | None]:
        return ber.header(self._data, self._at, len(self._data))

    def _enter(self, tag: int) -> _Open:
        body, size = self._header()
        if self._data[self._at] != tag:
            raise _OtherFormError("expected another tag")
        opened = _Open(self._at, None if size is None else body + size)
        self._was_definite &= size is not None
        self._at = body
        return opened

    def _is_at_end(self, opened: _Open) -> bool:
        if opened.end is None:
            return self._data[self._at : self._at + 2] == _END
        if self._at > opened.end:
            raise _OtherFormError("expected an element inside of the one around it")
        return self._at == opened.end

    def _leave(self, opened: _Open) -> None:
        if not self._is_at_end(opened):
            raise _OtherFormError("expected the end of an element")
        self._at += 0 if opened.end is not None else len(_END)

    def _copy(self) -> bytes:
        """The next element, with definite lengths."""
        body, size = self._header()
        end = len(self._data) if size is None else body + size
        raw = self._data[self._at : min(end, self._at + MAX_AROUND_BYTES)]
        definite, length = ber.to_definite(raw)
        self._was_definite &= definite == raw[:length]
        self._at += length
        return definite

    def _remaining(self, opened: _Open) -> Iterator[bytes]:
        """The elements up to the end of one, which is left."""
        for _ in range(_MAX_FIELDS):
            if self._is_at_end(opened):
                break
            yield self._copy()
        self._leave(opened)

    def _content(self) -> Iterator[tuple[int, int]]:
        """Where the octets of the content lie: in one string, or in pieces of one."""
        if self._data[self._at : self._at + 1] == bytes((der.OCTET_STRING,)):
            yield self._string()
            return
        opened = self._enter(_PIECES)
        self._was_definite = False
        for _ in range(ber.MAX_ELEMENTS):
            if self._is_at_end(opened):
                break
            yield self._string()
        self._leave(opened)

    def _string(self) -> tuple[int, int]:
        body, size = self._header()
        if self._data[self._at] != der.OCTET_STRING or size is None:
            raise _OtherFormError("expected an octet string")
        self._at = body + size
        return body, size
