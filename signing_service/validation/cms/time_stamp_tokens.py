"""Time-stamp tokens of strangers, read and verified (RFC 3161 2.4.2, RFC 5816)."""

import dataclasses
import datetime
from collections.abc import Callable

from asn1crypto import tsp as asn1_tsp
from cryptography import x509

from pki import originals
from signing_service.validation.cms import cms_signature, signature_values


@dataclasses.dataclass(frozen=True)
class Token:
    """A time-stamp token that was read (RFC 3161 2.4.2).

    Attributes:
        message: The CMS signature.
        time: What it states.
        hash_name: Of its message imprint.
        imprint: The hash it is over.
        certificate: The time-stamping unit's, or None.
    """

    message: cms_signature.Message
    time: datetime.datetime
    hash_name: str
    imprint: bytes
    certificate: x509.Certificate | None

    def check(self, digest_of: Callable[[str], bytes]) -> frozenset[str]:
        """Verify imprint and signature; return the hashes relied on; raises as `Message.check`."""
        if self.certificate is None:
            raise cms_signature.CMSFormatError(
                "the time-stamp token holds no certificate of its unit"
            )
        known = signature_values.KNOWN.difference(originals.SHAKE_SIZES)
        if self.hash_name not in known:
            raise cms_signature.UnsupportedCMSError(f"the hash {self.hash_name!r} is not known")
        if digest_of(self.hash_name) != self.imprint:
            raise cms_signature.DigestMismatchError("the time stamp is over something else")
        content = self.message.content or b""
        used = self.message.check(
            self.certificate,
            signature_values.digest_of(content),
        )
        return used | {self.hash_name}


def read_token(data: bytes) -> Token:
    """Read a time-stamp token; raises `CMSFormatError`."""
    message = cms_signature.Message(data)
    if message.content_type != "tst_info" or message.content is None:
        raise cms_signature.CMSFormatError("expected a time-stamp token, got another CMS message")
    try:
        info = asn1_tsp.TSTInfo.load(message.content)
        imprint = info["message_imprint"]
        time = info["gen_time"].native
        return Token(
            message=message,
            time=time.astimezone(datetime.UTC),
            hash_name=signature_values.hash_name(imprint["hash_algorithm"]),
            imprint=imprint["hashed_message"].native,
            certificate=message.certificate,
        )
    except cms_signature.ASN1_FAULTS as error:
        raise cms_signature.CMSFormatError(
            "expected a time-stamp token that can be read"
        ) from error
