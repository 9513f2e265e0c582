"""The protection of messages: a password-based MAC or a signature (RFC 9810 5.1.3)."""

import dataclasses
import hashlib
import hmac
import secrets

from ca.enrolment import messages
from pki import algorithms, der, der_types, signature
from pki.keystore import store

PASSWORD_BASED_MAC = "1.2.840.113533.7.66.13"  # noqa: S105 - an object identifier

MIN_ITERATIONS = 100
"""RFC 4211 4.4."""

MAX_ITERATIONS = 100_000
"""What OpenSSL accepts. A hundred thousand rounds cost about 50 ms, and any stranger who knows a
reference may ask for them."""

MAX_SALT_OCTETS = 128

_SALT_OCTETS = 16

_ONE_WAY_FUNCTIONS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}

_MACS = {
    # HMAC with SHA-1 is what openssl cmp takes unless told otherwise. Collisions of SHA-1 do not
    # break it (RFC 6194 3.3).
    "1.3.6.1.5.5.8.1.2": "sha1",
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}


@dataclasses.dataclass(frozen=True)
class PasswordBasedMac:
    """The parameters of a password-based MAC (RFC 9810 5.1.3.1)."""

    salt: bytes
    one_way_function: str
    iterations: int
    mac: str

    def algorithm(self) -> bytes:
        """The AlgorithmIdentifier."""
        parameters = der.encode(
            der.SEQUENCE,
            der.encode(der.OCTET_STRING, self.salt),
            der.encode(der.SEQUENCE, der.encode_oid(self.one_way_function)),
            der_types.encode_integer(self.iterations),
            der.encode(der.SEQUENCE, der.encode_oid(self.mac)),
        )
        return der.encode(der.SEQUENCE, der.encode_oid(PASSWORD_BASED_MAC), parameters)

    def with_fresh_salt(self) -> "PasswordBasedMac":
        """The same for a new message: what the other side chose is what it can check."""
        return dataclasses.replace(self, salt=secrets.token_bytes(_SALT_OCTETS))

    def compute(self, secret: bytes, protected_part: bytes) -> bytes:
        """Return the MAC of a message."""
        name = _ONE_WAY_FUNCTIONS[self.one_way_function]
        key = secret + self.salt
        for _ in range(self.iterations):
            key = hashlib.new(name, key).digest()
        # RFC 4211 4.4 would cut or stretch the key to the MAC's length; for HMAC, which takes keys
        # of any length, all implementations use it whole.
        return hmac.digest(key, protected_part, _MACS[self.mac])


def is_password_based(algorithm_der: bytes) -> bool:
    """Whether an AlgorithmIdentifier is that of a password-based MAC.

    Raises:
        DERError: It is none at all.
    """
    return der.decode_oid(der_types.Fields(der.read(algorithm_der)).take()) == PASSWORD_BASED_MAC


def parse_password_based(algorithm_der: bytes) -> PasswordBasedMac:
    """Read the parameters of a password-based MAC.

    Raises:
        DERError: Malformed.
        RefusedError: Another algorithm than those known, or more rounds than are allowed.
    """
    outer = der_types.Fields(der.read(algorithm_der))
    outer.take()
    fields = der_types.Fields(outer.take())
    outer.end()
    salt = fields.take().expect(der.OCTET_STRING).content
    one_way_function = der_types.decode_algorithm(fields.take())
    iterations = der_types.decode_integer(fields.take())
    mac = der_types.decode_algorithm(fields.take())
    fields.end()
    if one_way_function not in _ONE_WAY_FUNCTIONS or mac not in _MACS:
        raise messages.RefusedError(
            messages.FailureInfo.badAlg, "expected SHA-2 as one-way function and HMAC as MAC"
        )
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS or len(salt) > MAX_SALT_OCTETS:
        raise messages.RefusedError(
            messages.FailureInfo.badAlg,
            f"expected {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations"
            f" and a salt of at most {MAX_SALT_OCTETS} octets",
        )
    return PasswordBasedMac(salt, one_way_function, iterations, mac)


def check_mac(parameters: PasswordBasedMac, secret: bytes, message: messages.PKIMessage) -> None:
    """Check a message's MAC in constant time.

    Raises:
        RefusedError: It is another secret's.
    """
    expected = parameters.compute(secret, message.protected_part)
    if message.protection is None or not hmac.compare_digest(expected, message.protection):
        raise messages.RefusedError(
            messages.FailureInfo.badMessageCheck, "the message's protection does not verify"
        )


def check_signature(
    algorithm_der: bytes, public_key: algorithms.PublicKey, message: messages.PKIMessage
) -> None:
    """Check a message's signature.

    Raises:
        RefusedError: It is another key's, or made with an algorithm that is not allowed.
    """
    check_signed(
        der.read(algorithm_der),
        message.protection or b"",
        public_key,
        message.protected_part,
        messages.FailureInfo.badMessageCheck,
    )


def check_signed(
    algorithm: der.Element,
    value: bytes,
    public_key: algorithms.PublicKey,
    signed: bytes,
    failure: messages.FailureInfo,
) -> None:
    """Check a signature in the form of X.509.

    Raises:
        RefusedError: With `failure` where it does not verify, with `badAlg` where it cannot be
            judged.
    """
    try:
        decoded = der_types.decode_signature_value(algorithm, value, public_key)
        signature.check_value(
            public_key, signature.represent(signed, decoded.hash_algorithm), decoded
        )
    except algorithms.UnsupportedAlgorithmError as error:
        raise messages.RefusedError(messages.FailureInfo.badAlg, error.message) from error
    except (signature.SignatureValueError, algorithms.SignatureEncodingError) as error:
        raise messages.RefusedError(failure, "the signature does not verify") from error


@dataclasses.dataclass(frozen=True)
class Signer:
    """Our key for messages, and its certificate with those above it but the root.

    Attributes:
        key: Its handle.
        name: The certificate's subject in DER.
        key_id: Its subject key identifier.
        chain: In DER, its certificate first.
    """

    key: store.KeyHandle
    name: bytes
    key_id: bytes
    chain: tuple[bytes, ...]


def protect_signed(
    header: messages.PKIHeader, body: bytes, signer: Signer, extra: tuple[bytes, ...] = ()
) -> bytes:
    """Return a whole message with a signature and the signer's chain.

    Raises:
        DeviceError: The key did not sign.
    """
    kind = algorithms.key_kind(signer.key.public_key)
    # The algorithm stands inside what is signed, so it is named before there is a value.
    named = signature.SignatureValue(kind.signature_algorithm, kind.hash_algorithm, b"")
    header = dataclasses.replace(
        header,
        protection_algorithm=der_types.encode_signature_algorithm(named),
        sender_key_id=signer.key_id,
    )
    representation = signature.represent(
        messages.encode_protected_part(header, body), kind.hash_algorithm
    )
    value = signer.key.sign(representation)
    signature.check_value(signer.key.public_key, representation, value)
    return messages.encode_message(
        header, body, value.encoded_for_cms(), _without_repeats(signer.chain + extra)
    )


def protect_mac(
    header: messages.PKIHeader,
    body: bytes,
    parameters: PasswordBasedMac,
    reference: bytes,
    secret: bytes,
    extra: tuple[bytes, ...] = (),
) -> bytes:
    """Return a whole message with a password-based MAC by the secret of a reference."""
    fresh = parameters.with_fresh_salt()
    header = dataclasses.replace(
        header, protection_algorithm=fresh.algorithm(), sender_key_id=reference
    )
    value = fresh.compute(secret, messages.encode_protected_part(header, body))
    return messages.encode_message(header, body, value, _without_repeats(extra))


def _without_repeats(certificates: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(certificates))
