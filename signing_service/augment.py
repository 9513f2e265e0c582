"""Raising a signature's level: each step is a function from a signed file to a signed file.

Time stamp first, revocation data after: a status from before the best signature time does not
show that the certificate was still good at that time (EN 319 102-1 5.2.5).
"""

import datetime
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from cryptography import x509

from pki import outbound, signature
from signing_service import certification_paths, documents, revocation_data
from signing_service.creation import formats
from tsa import signed_token

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]


def add_validation_data(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    target: pathlib.Path,
    path: Sequence[x509.Certificate],
    authorities: certification_paths.Authorities,
    *,
    client: outbound.Client,
    at: datetime.datetime,
    responders: Sequence[str] = (),
    position: documents.Position = -1,
) -> None:
    """Raise a signature from B-T to B-LT.

    Args:
        format: Of the signature.
        source: The document.
        target: Becomes the document with certificates and revocation data inside.
        path: The signer's certification path.
        authorities: To find the paths of time-stamping units.
        client: Fetches what is missing.
        at: The present; the time stamp was taken before.
        responders: Asked for a status after those that a certificate names.
        position: Which signature of the document; -1 is the newest.

    Raises:
        CertificateRevokedError: A certificate of a path has been revoked meanwhile.
        PeerError: A source of revocation data did not answer, or not usefully.
    """
    tokens = _tokens(format, source, position)
    units = [unit_path(token, authorities, at) for token in tokens]
    best_signature_time = min((token.info.gen_time for token in tokens), default=None)
    data = revocation_data.fetch(
        [path, *units],
        client=client,
        at=at,
        not_before=best_signature_time,
        responders=responders,
    )
    formats.add_validation_data(format, source, target, data, position=position)


def add_archive_time_stamp(
    format: documents.SignatureFormat,
    source: pathlib.Path,
    target: pathlib.Path,
    authorities: certification_paths.Authorities,
    request_token: RequestToken,
    *,
    client: outbound.Client,
    at: datetime.datetime,
    responders: Sequence[str] = (),
    position: documents.Position = -1,
    detached: Sequence[documents.Document] = (),
) -> None:
    """Raise a signature from B-LT to B-LTA.

    Detached XAdES takes the documents that the signature covers.

    Revocation data for the unit that stamps is in the document already where the same unit made
    the signature's time stamp; where it is another one (its key has been changed in between), its
    data is appended after the time stamp.

    Raises:
        PeerError: The time-stamping authority or a source of revocation data failed.
    """
    known = {
        signed_token.find_signer_certificate(token) for token in _tokens(format, source, position)
    }
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        stamped = pathlib.Path(folder) / "stamped"
        formats.add_archive_time_stamp(
            format, source, stamped, request_token, position=position, detached=detached
        )
        path = unit_path(_tokens(format, stamped, position)[-1], authorities, at)
        if path[0] in known:
            stamped.replace(target)
            return
        data = revocation_data.fetch([path], client=client, at=at, responders=responders)
        formats.add_validation_data(format, stamped, target, data, position=position)


def unit_path(
    token: signed_token.TimeStampToken,
    authorities: certification_paths.Authorities,
    at: datetime.datetime,
) -> tuple[x509.Certificate, ...]:
    """Return the certification path of the unit that made a time-stamp token.

    Raises:
        InputError: The token carries no certificate of its unit.
        UntrustedCertificateError: The unit has no path to a trusted root.
    """
    unit = signed_token.find_signer_certificate(token)
    return authorities.path(unit, at, besides=token.certificates)


def _tokens(
    format: documents.SignatureFormat, source: pathlib.Path, position: documents.Position
) -> list[signed_token.TimeStampToken]:
    found = formats.time_stamp_tokens(format, source, position=position)
    # CMS has attributes in the order of their octets, so their place tells no time.
    return sorted(map(signed_token.parse_token, found), key=lambda token: token.info.gen_time)
