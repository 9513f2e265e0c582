"""The algorithms of XML Signature by their identifiers (RFC 9231), and how each is verified.

What is written uses the few that `pki.algorithms` allows. What is read may be old: SHA-1, P-521 or
RSA of 1024 bits are verified all the same and carry their names, for a validation policy to judge.
"""

import dataclasses
import re

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    padding,
    rsa,
    utils,
)
from lxml import etree

from pki import algorithms, errors

_DS = "http://www.w3.org/2000/09/xmldsig#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_ENC = "http://www.w3.org/2001/04/xmlenc#"

_DIGESTS = {
    _MORE + "md5": "md5",
    _DS + "sha1": "sha1",
    _MORE + "sha224": "sha224",
    _ENC + "sha256": "sha256",
    _MORE + "sha384": "sha384",
    _ENC + "sha512": "sha512",
    _MORE_2007 + "sha3-224": "sha3_224",
    _MORE_2007 + "sha3-256": "sha3_256",
    _MORE_2007 + "sha3-384": "sha3_384",
    _MORE_2007 + "sha3-512": "sha3_512",
}
_HASHERS: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303 - verified in old documents, never made
    "sha1": hashes.SHA1(),  # noqa: S303 - verified in old documents, never made
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_224": hashes.SHA3_224(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
_METHOD = re.compile(
    r"(?P<scheme>rsa|ecdsa|dsa)-(?P<hash>md5|sha1|sha224|sha256|sha384|sha512)"
    r"|(?P<pss_hash>sha1|sha224|sha256|sha384|sha512|sha3-\d{3})-rsa-MGF1"
    r"|ecdsa-(?P<ec_sha3>sha3-\d{3})"
    r"|(?P<pss>rsa-pss)"
    r"|eddsa-(?P<eddsa>ed25519|ed448)"
)
_SPACES = (
    _DS,
    _MORE,
    _MORE_2007,
    "http://www.w3.org/2009/xmldsig11#",
    "http://www.w3.org/2021/04/xmldsig-more#",
)


class UnknownAlgorithmError(errors.InputError):
    """An algorithm identifier that is not known here."""

    code = "xml-unknown-algorithm"


class ValueMismatchError(errors.InputError):
    """A signature value that does not verify."""

    code = "xml-value-mismatch"


@dataclasses.dataclass(frozen=True)
class SignatureMethod:
    """A signature method as it was read.

    Attributes:
        scheme: `RSA`, `RSA-PSS`, `ECDSA`, `DSA` or `EdDSA`.
        digest_algorithm: A name hashlib knows; of EdDSA the hash that is part of it (RFC 8032 5).
        salt_size: Of RSA-PSS; None takes the length of the hash.
        mask_algorithm: The hash of RSA-PSS's mask generation; None takes the digest's.
    """

    scheme: str
    digest_algorithm: str
    salt_size: int | None = None
    mask_algorithm: str | None = None

    def verify(self, public_key: object, value: bytes, data: bytes) -> None:
        """Verify a value over data; ECDSA values are r||s of fixed length (XMLDSig 6.4.3).

        Raises:
            ValueMismatchError: It does not verify, or the key is of another kind.
            UnknownAlgorithmError: A kind of key that is not known here.
        """
        try:
            if self.scheme == "EdDSA":
                self._verify_eddsa(public_key, value, data)
                return
            hasher = _HASHERS[self.digest_algorithm]
            if isinstance(public_key, ec.EllipticCurvePublicKey) and self.scheme == "ECDSA":
                if len(value) != 2 * algorithms.ecdsa_size(public_key):
                    raise ValueMismatchError("the ECDSA value is not r||s of the curve's length")
                public_key.verify(algorithms.ecdsa_raw_to_der(value), data, ec.ECDSA(hasher))
            elif isinstance(public_key, rsa.RSAPublicKey) and self.scheme == "RSA":
                public_key.verify(value, data, padding.PKCS1v15(), hasher)
            elif isinstance(public_key, rsa.RSAPublicKey) and self.scheme == "RSA-PSS":
                salt = hasher.digest_size if self.salt_size is None else self.salt_size
                mask = _HASHERS[self.mask_algorithm or self.digest_algorithm]
                pss = padding.PSS(padding.MGF1(mask), salt)
                public_key.verify(value, data, pss, hasher)
            elif isinstance(public_key, dsa.DSAPublicKey) and self.scheme == "DSA":
                half = len(value) // 2
                r, s = (int.from_bytes(part, "big") for part in (value[:half], value[half:]))
                public_key.verify(utils.encode_dss_signature(r, s), data, hasher)
            else:
                raise ValueMismatchError(
                    f"the signature method {self.scheme} does not fit the certificate's key"
                )
        except (exceptions.InvalidSignature, ValueError) as error:
            raise ValueMismatchError("the signature value does not verify") from error
        except exceptions.UnsupportedAlgorithm as error:
            raise UnknownAlgorithmError(f"cannot verify {self.scheme} here") from error

    def _verify_eddsa(self, public_key: object, value: bytes, data: bytes) -> None:
        """RFC 9231 2.3.12: PureEdDSA over the octets themselves."""
        kind = (
            ed25519.Ed25519PublicKey if self.digest_algorithm == "sha512" else ed448.Ed448PublicKey
        )
        if not isinstance(public_key, kind):
            raise ValueMismatchError(
                "the signature method EdDSA does not fit the certificate's key"
            )
        public_key.verify(value, data)


def read_signature_method(element: etree._Element) -> SignatureMethod:
    """Return the method that a ds:SignatureMethod names; HMAC is no signature and is refused."""
    uri = element.get("Algorithm") or ""
    space = next((one for one in _SPACES if uri.startswith(one)), None)
    matched = _METHOD.fullmatch(uri[len(space) :]) if space else None
    if not matched:
        raise UnknownAlgorithmError(f"the signature method {uri[:200]!r} is not known")
    if matched["pss"]:
        return _read_pss(element)
    if matched["eddsa"]:
        return SignatureMethod("EdDSA", "sha512" if matched["eddsa"] == "ed25519" else "shake_256")
    if matched["pss_hash"]:
        return SignatureMethod("RSA-PSS", matched["pss_hash"].replace("-", "_"))
    if matched["ec_sha3"]:
        return SignatureMethod("ECDSA", matched["ec_sha3"].replace("-", "_"))
    return SignatureMethod(matched["scheme"].upper(), matched["hash"])


def read_digest_method(element: etree._Element) -> str:
    """Return the name by which hashlib knows what a ds:DigestMethod names."""
    uri = element.get("Algorithm") or ""
    if uri not in _DIGESTS:
        raise UnknownAlgorithmError(f"the digest method {uri[:200]!r} is not known")
    return _DIGESTS[uri]


def digest_uri(hash_algorithm: algorithms.HashAlgorithm) -> str:
    """The identifier of a hash that is written."""
    return next(uri for uri, one in _DIGESTS.items() if one == hash_algorithm.short_name)


def signature_uri(
    scheme: algorithms.SignatureAlgorithm, hash_algorithm: algorithms.HashAlgorithm
) -> str:
    """The identifier of a signature method that is written."""
    short = hash_algorithm.short_name
    if scheme is algorithms.SignatureAlgorithm.RSA_PSS:
        return f"{_MORE_2007}{short}-rsa-MGF1"
    name = "ecdsa" if scheme is algorithms.SignatureAlgorithm.ECDSA else "rsa"
    return f"{_MORE}{name}-{short}"


def _read_pss(element: etree._Element) -> SignatureMethod:
    """Read RSASSA-PSS with parameters (RFC 9231 2.3.9); absent ones mean SHA-256."""
    digest, salt, mask = "sha256", None, None
    for child in element.iter(f"{{{_MORE_2007}}}SaltLength", f"{{{_DS}}}DigestMethod"):
        parent = child.getparent()
        if child.tag.endswith("DigestMethod"):
            one = read_digest_method(child)
            if parent is not None and str(parent.tag).endswith("MaskGenerationFunction"):
                mask = one
            else:
                digest = one
        else:
            text = (child.text or "").strip()
            if not text.isdecimal() or len(text) > 4:
                raise UnknownAlgorithmError("RSASSA-PSS with an unreadable salt length")
            salt = int(text)
    return SignatureMethod("RSA-PSS", digest, salt, mask)
