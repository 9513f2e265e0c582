"""Archive time stamps on CMS signatures: archive-time-stamp-v3 (EN 319 122-1 5.5).

The token covers one signer: the content by its hash, what the signer signed and the value, and
through ats-hash-index-v3 every certificate, CRL and unsigned attribute that was there. So it
survives what is added later, such as a parallel signer or a further time stamp.
"""

from collections.abc import Callable

from pki import algorithms, der, signature
from signing_service.creation import cms, cms_files

ID_ARCHIVE_TIME_STAMP_V3 = der.encode_oid("0.4.0.1733.2.4")
_IDS_OF_OLD_ARCHIVES = (
    der.encode_oid("1.2.840.113549.1.9.16.2.27"),
    der.encode_oid("1.2.840.113549.1.9.16.2.48"),
)
"""Archive time stamps of TS 101 733 before ats-hash-index: they cover whatever is there."""
_ID_ATS_HASH_INDEX_V3 = der.encode_oid("0.4.0.19122.1.5")

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]


class OldArchiveError(cms.CmsError):
    """The signature has an archive time stamp of the old kind, which covers what is added."""

    code = "cms-old-archive-time-stamp"


def add(
    signed: cms_files.SignedDataFile, position: int, request_token: RequestToken
) -> cms_files.SignedDataFile:
    """Add an archive time stamp to one signer.

    The hash is the one that the signer used on the content. Its value stands in message-digest,
    so that the content of a detached signature is not needed.

    Args:
        signed: The signature.
        position: Which of its signers.
        request_token: Gives a time-stamp token, in DER, over the hash it gets.
    """
    signer = signed.signer(position)
    hash_algorithm = signer.hash_algorithm
    index = hash_index(signed, signer, hash_algorithm)
    token = request_token(
        signature.DataToBeSignedRepresentation(
            hash_algorithm, imprint(signed, signer, index, hash_algorithm)
        )
    )
    # EN 319 122-1 5.5.3: the index lies in the token, as an unsigned attribute of its signer.
    token = cms.parse(token).with_unsigned_attribute(cms.attribute(_ID_ATS_HASH_INDEX_V3, index))
    changed = signer.with_attribute(cms.attribute(ID_ARCHIVE_TIME_STAMP_V3, token))
    return signed.with_changed_signer(position, changed)


def check_extensible(signer: cms.Signer) -> None:
    """Refuse a signer with an archive time stamp that anything added would break.

    Raises:
        OldArchiveError: It has archive-time-stamp-v2, or the one before it.
    """
    if any(signer.values(one) for one in _IDS_OF_OLD_ARCHIVES):
        raise OldArchiveError(
            "expected no archive-time-stamp-v2: it covers all certificates and attributes, so"
            " nothing can be added without breaking it"
        )


def tokens(signer: cms.Signer) -> tuple[bytes, ...]:
    """Return the archive time-stamp tokens of a signer."""
    return signer.values(ID_ARCHIVE_TIME_STAMP_V3)


def hash_index(
    signed: cms_files.SignedDataFile,
    signer: cms.Signer,
    hash_algorithm: algorithms.HashAlgorithm,
) -> bytes:
    """Build ATSHashIndexV3 over what is there now (EN 319 122-1 5.5.2)."""

    def hashes(items: tuple[bytes, ...]) -> bytes:
        return der.encode(
            der.SEQUENCE,
            *(der.encode(der.OCTET_STRING, hash_algorithm.digest(one)) for one in items),
        )

    # One hash for each value, over the attribute's type and that value.
    values = tuple(
        cms.whole(kind) + cms.whole(value)
        for kind, held in (der.read(one).children() for one in signer.unsigned_attributes)
        for value in held.children()
    )
    return der.encode(
        der.SEQUENCE,
        cms.algorithm_of(hash_algorithm),
        hashes(signed.certificates),
        hashes(signed.crls),
        hashes(values),
    )


def imprint(
    signed: cms_files.SignedDataFile,
    signer: cms.Signer,
    index: bytes,
    hash_algorithm: algorithms.HashAlgorithm,
) -> bytes:
    """Return the hash that archive-time-stamp-v3 covers (EN 319 122-1 5.5.3).

    Args:
        signed: The signature.
        signer: One of its signers, who used `hash_algorithm` on the content too.
        index: ATSHashIndexV3.
        hash_algorithm: Of the imprint.
    """
    return hash_algorithm.digest(
        signed.content_type + signer.message_digest + signer.signed_part + index
    )
