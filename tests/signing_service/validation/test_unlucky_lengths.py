"""DER whose lengths end in 80 (hexadecimal) costs no more than other DER, wherever it comes in.

asn1crypto takes each header that ends so for one of indefinite length, and encodes what is in it
anew, level by level: seconds for one time stamp. Work is counted in calls, which no other process
on the machine changes.
"""

import datetime
import functools
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest

from pki import signature
from signing_service import documents, parameters, trust
from signing_service.creation import formats
from signing_service.validation import process
from signing_service.validation.cms import ber
from tests.support import hierarchy as hierarchies
from tests.support import signed_pdfs
from tsa import messages, signed_token

Format = documents.SignatureFormat
Packaging = parameters.Packaging
ENTRANCES = {
    "PAdES": parameters.SignatureParameters(Format.PADES, documents.SignatureLevel.B_T),
    "CAdES": parameters.SignatureParameters(
        Format.CADES, documents.SignatureLevel.B_T, packaging=Packaging.ENVELOPING
    ),
    "XAdES": parameters.SignatureParameters(Format.XADES, documents.SignatureLevel.B_T),
    "ASiC-E with XAdES": parameters.SignatureParameters(
        Format.ASIC_E, documents.SignatureLevel.B_T
    ),
    "ASiC-E with CAdES": parameters.SignatureParameters(
        Format.ASIC_E, documents.SignatureLevel.B_T, container_signature=Format.CADES
    ),
}
CONTENT = {Format.PADES: signed_pdfs.make_pdf, Format.XADES: lambda: b"<a>TEST</a>"}
LEVELS = (0, 1, 2, 3)
"""The nesting of a header that is to end in 80: ContentInfo, [0], SignedData, what is in it."""


def headers(data: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[int, bytes]]:
    """The header of each constructed element, with its nesting."""
    while start < end:
        body, size = ber.header(data, start, end)
        assert size is not None
        if data[start] & 0x20:
            yield depth, data[start:body]
            yield from headers(data, body, body + size, depth + 1)
        start = body + size


def unlucky_levels(data: bytes) -> set[int]:
    found = headers(data, 0, len(data))
    return {depth for depth, one in found if len(one) > 2 and one[-1] == 0x80}


class Maker:
    """Signs with people, and time stamps, whose DER has lengths as wanted."""

    def __init__(
        self, authorities: hierarchies.Hierarchy, at: datetime.datetime, folder: pathlib.Path
    ) -> None:
        self.authorities, self.at, self.folder = authorities, at, folder
        self.holder = authorities.signer()
        self.unit = authorities.time_stamping_unit()

    def token(self, level: int | None, wanted: signature.DataToBeSignedRepresentation) -> bytes:
        """A token with an unlucky length at a level, or at none of `LEVELS`."""
        for number in range(3000):
            info = messages.TSTInfo(
                policy="1.3.6.1.4.1.99999.2" + ".1" * (number % 256),
                imprint=messages.MessageImprint(wanted.hash_algorithm, wanted.hash),
                serial_number=1,
                gen_time=self.at,
                nonce=None,
            )
            made = signed_token.build_token(
                info, self.unit.certificate, self.unit.handle, self.unit.chain[:-1]
            )
            found = unlucky_levels(made)
            if level in found if level is not None else found.isdisjoint(LEVELS):
                return made
        raise AssertionError(f"no token has such a length at {level}")

    def sign(self, chosen: parameters.SignatureParameters, level: int | None) -> pathlib.Path:
        """A document of level B-T."""
        source, waiting = self.folder / "source", self.folder / "waiting"
        signed, stamped = self.folder / "signed", self.folder / "stamped"
        holder = self.holder
        source.write_bytes(CONTENT.get(chosen.format, lambda: b"TEST")())
        prepared = formats.prepare(
            documents.single(source), waiting, path=holder.chain, chosen=chosen, at=self.at
        )
        value = holder.handle.sign(
            signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
        )
        formats.embed(prepared, waiting, signed, value)
        formats.add_signature_time_stamp(
            chosen.format, signed, stamped, functools.partial(self.token, level)
        )
        return stamped


def calls_of(function: Callable[[], object]) -> int:
    """How many calls a function makes, in Python and of what is built in."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return counted


@pytest.fixture
def maker(hierarchy, at, tmp_path) -> Maker:
    return Maker(hierarchy, at, tmp_path)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_unlucky_lengths_cost_what_others_cost(maker, hierarchy, entrance):
    chosen = ENTRANCES[entrance]
    anchors = trust.TrustAnchors((hierarchy.root.certificate,))
    taken = {}

    def judge(path: pathlib.Path) -> None:
        outcome = process.judge(documents.Document("document", path), trust=anchors, at=maker.at)
        (found,) = outcome.report.signatures
        assert found.intact
        assert len(found.time_stamps) == 1

    for level in (None, *LEVELS):
        path = maker.sign(chosen, level)
        if level is None:
            judge(path)  # Modules are loaded, caches filled.
        taken[level] = calls_of(functools.partial(judge, path))
    assert max(taken.values()) < 1.5 * taken[None], taken
