"""CMS signatures in files: several signers, and a content that is never held in memory (RFC 5652).

The structure around the content is read by its lengths alone, and the content is copied from file
to file. What others wrote in BER, without lengths or in pieces, is given lengths first, in memory.
"""

import dataclasses
import hashlib
import mmap
import pathlib
from collections.abc import Iterator, Sequence

from pki import algorithms, der
from signing_service.creation import cms
from signing_service.validation.cms import ber

MAX_STRUCTURE_BYTES = 64 * 2**20
"""Most bytes read besides the content: a large CRL has some ten megabytes."""

MAX_SIGNERS = 100
"""Most signers of one document."""

CHUNK = 2**20

_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1


@dataclasses.dataclass(frozen=True)
class Content:
    """The octets that are signed: a part of a file, or held where the file is in BER."""

    path: pathlib.Path
    start: int
    size: int
    held: bytes | None = dataclasses.field(default=None, repr=False)

    def digest(self, hash_algorithm: algorithms.HashAlgorithm) -> bytes:
        """Hash the content in pieces."""
        hasher = hashlib.new(hash_algorithm.short_name)
        for chunk in self.pieces():
            hasher.update(chunk)
        return hasher.digest()

    def pieces(self) -> Iterator[bytes]:
        """Give the content in pieces.

        Raises:
            CmsError: The file ends before the content does.
        """
        if self.held is not None:
            yield self.held
            return
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.size
            while left and (chunk := file.read(min(CHUNK, left))):
                yield chunk
                left -= len(chunk)
        if left:
            raise cms.CmsError("expected the whole content, got the end of the file")


@dataclasses.dataclass(frozen=True)
class SignedDataFile:
    """The parts of a SignedData (RFC 5652 5.1); every `bytes` is a whole DER element.

    Attributes:
        content_type: Of what is signed.
        content: Where it lies; None of a detached signature.
        digest_algorithms: Each algorithm identifier.
        certificates: Each certificate, of whatever kind.
        crls: Each CRL and each OCSP response (RFC 5940 2).
        signers: Each SignerInfo.
    """

    content_type: bytes
    content: Content | None
    digest_algorithms: tuple[bytes, ...] = ()
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    signers: tuple[bytes, ...] = ()

    def with_signer(self, signer: cms.Signer, certificates: Sequence[bytes]) -> "SignedDataFile":
        """Return the structure with a further signer, behind the others."""
        return dataclasses.replace(
            self,
            digest_algorithms=_joined(
                self.digest_algorithms, [cms.algorithm_of(signer.hash_algorithm)]
            ),
            certificates=_joined(self.certificates, certificates),
            signers=(*self.signers, signer.encoded()),
        )

    def with_validation_data(
        self, certificates: Sequence[bytes], crls: Sequence[bytes]
    ) -> "SignedDataFile":
        """Return the structure with more certificates and revocation data, each once."""
        return dataclasses.replace(
            self,
            certificates=_joined(self.certificates, certificates),
            crls=_joined(self.crls, crls),
        )

    def with_changed_signer(self, position: int, signer: cms.Signer) -> "SignedDataFile":
        """Return the structure with another form of one signer."""
        signers = list(self.signers)
        signers[position] = signer.encoded()
        return dataclasses.replace(self, signers=tuple(signers))

    def signer(self, position: int) -> cms.Signer:
        """Read one signer; raises as `cms.parse_signer` does.

        Raises:
            CmsError: There is none, or not so many.
        """
        if not -len(self.signers) <= position < len(self.signers):
            raise cms.CmsError(f"expected a signer, got a signature with {len(self.signers)}")
        return cms.parse_signer(der.read(self.signers[position]))

    @property
    def version(self) -> int:
        """The version that the parts call for (RFC 5652 5.1)."""
        if any(one[0] == _CONTEXT_1 for one in self.crls) or any(
            one[0] == 0xA3 for one in self.certificates
        ):
            return 5
        if any(one[0] == 0xA2 for one in self.certificates):
            return 4
        by_key = any(der.read(one).children()[0].content == b"\x03" for one in self.signers)
        attributes = any(one[0] == _CONTEXT_1 for one in self.certificates)
        return 3 if by_key or attributes or self.content_type != cms.ID_DATA else 1

    def write(self, target: pathlib.Path) -> None:
        """Write the ContentInfo; the content is copied in pieces."""
        content = self.content
        octets = b""
        if content is not None:
            octets = der.encode_header(der.OCTET_STRING, content.size)
            octets = der.encode_header(_CONTEXT_0, len(octets) + content.size) + octets
        size = 0 if content is None else content.size
        head = b"".join(
            (
                der.encode_integer(self.version),
                der.encode(der.SET, *self.digest_algorithms),
                der.encode_header(der.SEQUENCE, len(self.content_type) + len(octets) + size),
                self.content_type,
                octets,
            )
        )
        tail = b"".join(
            (
                der.encode(_CONTEXT_0, *sorted(self.certificates)) if self.certificates else b"",
                der.encode(_CONTEXT_1, *sorted(self.crls)) if self.crls else b"",
                # Not sorted as DER would have it: the newest signer is the last one.
                der.encode(der.SET, *self.signers),
            )
        )
        # From the inside out: SignedData, its [0] behind the content type, ContentInfo.
        for tag, before in (
            (der.SEQUENCE, b""),
            (_CONTEXT_0, cms.ID_SIGNED_DATA),
            (der.SEQUENCE, b""),
        ):
            head = before + der.encode_header(tag, len(head) + size + len(tail)) + head
        with target.open("wb") as file:
            file.write(head)
            if content is not None:
                file.writelines(content.pieces())
            file.write(tail)


def read(path: pathlib.Path) -> SignedDataFile:
    """Read the structure of a signature file, without its content.

    Raises:
        CmsError: Not SignedData, or over a limit.
        DERError: Not DER, nor BER of which DER can be made.
    """
    if path.stat().st_size == 0:
        raise cms.CmsError("expected CMS SignedData, got an empty file")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        try:
            return _read(path, data)
        except IndefiniteLengthError as error:
            if len(data) > MAX_STRUCTURE_BYTES:
                raise cms.CmsError(
                    f"expected CMS in DER, or in BER of at most {MAX_STRUCTURE_BYTES} bytes"
                ) from error
            definite, _ = ber.to_definite(data[:])
    return _read(path, definite, held=True)


def is_signed_data(path: pathlib.Path) -> bool:
    """Tell whether a file begins as CMS SignedData does, in DER or BER."""
    with path.open("rb") as file:
        start = file.read(32)
    return start[:1] == b"\x30" and cms.ID_SIGNED_DATA in start[2:]


class IndefiniteLengthError(cms.CmsError):
    """BER without a length, where DER has one."""

    code = "cms-not-der"


_Octets = mmap.mmap | bytes


@dataclasses.dataclass(frozen=True)
class _Span:
    """Where an element lies: its identifier, the start of its content, and its end."""

    tag: int
    start: int
    content: int
    end: int


def _span(data: _Octets, start: int, limit: int) -> _Span:
    header = data[start : min(start + 6, limit)]
    if len(header) < 2:
        raise der.DERError("expected a DER element, got the end of the input")
    size, content = header[1], start + 2
    if size == 0x80:
        raise IndefiniteLengthError("expected CMS in DER, got BER with indefinite lengths")
    if size > 0x80:
        count = size & 0x7F
        digits = header[2 : 2 + count]
        size = int.from_bytes(digits, "big")
        if not 1 <= count <= 4 or len(digits) < count or size < 0x80 or not digits[0]:
            raise der.DERError("expected the shortest form of a DER length")
        content += count
    if content + size > limit:
        raise der.DERError(f"expected {size} bytes of content, got {limit - content}")
    return _Span(header[0], start, content, content + size)


def _inside(data: _Octets, span: _Span) -> list[_Span]:
    found: list[_Span] = []
    place = span.content
    while place < span.end:
        if len(found) > 2 * MAX_SIGNERS + cms.MAX_CERTIFICATES:
            raise cms.CmsError("expected fewer members in a CMS signature")
        found.append(_span(data, place, span.end))
        place = found[-1].end
    return found


def _expect(span: _Span, tag: int) -> _Span:
    if span.tag != tag:
        raise cms.CmsError(f"expected the tag {tag:#04x} in CMS SignedData, got {span.tag:#04x}")
    return span


def _read(path: pathlib.Path, data: _Octets, *, held: bool = False) -> SignedDataFile:
    outer = _inside(data, _expect(_span(data, 0, len(data)), der.SEQUENCE))
    if len(outer) != 2 or data[outer[0].start : outer[0].end] != cms.ID_SIGNED_DATA:
        raise cms.CmsError("expected CMS SignedData, got another content type")
    wrapped = _inside(data, _expect(outer[1], _CONTEXT_0))
    if len(wrapped) != 1:
        raise cms.CmsError("expected one SignedData")
    members = _inside(data, _expect(wrapped[0], der.SEQUENCE))
    if len(members) < 4:
        raise cms.CmsError("expected version, algorithms, content and signers in SignedData")
    inner = _inside(data, _expect(members[2], der.SEQUENCE))
    content = None
    if len(inner) == 2:
        octets = _inside(data, _expect(inner[1], _CONTEXT_0))
        if len(octets) != 1:
            raise cms.CmsError("expected one content")
        if octets[0].tag == der.OCTET_STRING | 0x20:
            raise IndefiniteLengthError("expected CMS in DER, got a content in pieces")
        first, end = _expect(octets[0], der.OCTET_STRING).content, octets[0].end
        content = Content(path, first, end - first, data[first:end] if held else None)
    if len(data) - (content.size if content else 0) > MAX_STRUCTURE_BYTES:
        raise cms.CmsError(f"expected a signature of at most {MAX_STRUCTURE_BYTES} bytes")

    def whole(span: _Span) -> bytes:
        return data[span.start : span.end]

    by_tag = {one.tag: one for one in members[3:-1]}
    certificates, crls = by_tag.get(_CONTEXT_0), by_tag.get(_CONTEXT_1)
    signers = _inside(data, _expect(members[-1], der.SET))
    if len(signers) > MAX_SIGNERS:
        raise cms.CmsError(f"expected at most {MAX_SIGNERS} signers, got {len(signers)}")
    return SignedDataFile(
        content_type=whole(inner[0]),
        content=content,
        digest_algorithms=tuple(whole(one) for one in _inside(data, _expect(members[1], der.SET))),
        certificates=() if certificates is None else tuple(map(whole, _inside(data, certificates))),
        crls=() if crls is None else tuple(map(whole, _inside(data, crls))),
        signers=tuple(map(whole, signers)),
    )


def _joined(present: Sequence[bytes], added: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((*present, *added)))
