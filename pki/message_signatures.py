"""HTTP Message Signatures (RFC 9421) over requests: made by clients, verified by services.

A deliberately small part of the standard: one signature for each request, ECDSA, and a fixed list
of what it covers. Method, path, query and the body's digest are always covered, the content type
where there is one. Authority and scheme never are: a proxy in between rewrites them. That a
request was meant for this installation follows from `keyid`, the hash of a certificate that only
one installation has issued.

Reading is strict: whatever our own client would not write is refused, so there is exactly one
way to spell a signed request and no parser to disagree with.
"""

import base64
import binascii
import dataclasses
import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pki import algorithms, errors, signature
from pki.keystore import store

LABEL = "imza"
"""The one member of the Signature and Signature-Input dictionaries (RFC 9421 4)."""

CLOCK_WINDOW = datetime.timedelta(seconds=60)
"""How far the signer's clock may be from ours, either way."""

LIFETIME = datetime.timedelta(seconds=60)
"""The longest time from `created` to `expires`."""

REMEMBER = CLOCK_WINDOW + LIFETIME
"""How long after `created` a nonce must be remembered; longer than the request is accepted."""

MAX_FIELD_BYTES = 1024
"""Of Signature-Input; our own has about 350."""

MAX_TARGET_BYTES = 8192
"""Of path and query together."""

NONCE_BYTES = 18

_REQUIRED = ("@method", "@path", "@query", "content-digest")
_OPTIONAL = ("content-type",)
_FIELDS = ("content-digest", "content-type", "signature", "signature-input")

_NAMES = {
    algorithms.KeyKind.P256: "ecdsa-p256-sha256",
    algorithms.KeyKind.P384: "ecdsa-p384-sha384",
}
"""RFC 9421 3.3.4 and 3.3.5."""

_INPUT = re.compile(
    r'imza=(?P<params>\((?P<components>"[^"\\]*"(?: "[^"\\]*")*)\)'
    r";created=(?P<created>[1-9][0-9]{0,14})"
    r";expires=(?P<expires>[1-9][0-9]{0,14})"
    r';nonce="(?P<nonce>[A-Za-z0-9_-]{22,64})"'
    r';keyid="(?P<keyid>[0-9a-f]{64})"'
    r';alg="(?P<alg>[a-z0-9-]{1,32})"'
    r';tag="(?P<tag>[a-z0-9-]{1,32})")',
    re.ASCII,
)
_SIGNATURE = re.compile(r"imza=:(?P<value>[A-Za-z0-9+/]{1,200}={0,2}):", re.ASCII)
_DIGEST = re.compile(r"sha-256=:(?P<value>[A-Za-z0-9+/]{43}=):", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class MessageSignatureError(errors.UnauthenticatedError):
    """The request is not signed, not as it must be, or its signature does not verify."""

    code = "signature-refused"
    challenge: ClassVar[str] = "Signature"


class ClockDifferenceError(MessageSignatureError):
    """The request was signed too long ago, or in the future: the clocks differ."""

    code = "signature-time"


class ContentDigestError(MessageSignatureError):
    """The body is not the one that was signed."""

    code = "content-digest"


@dataclasses.dataclass(frozen=True)
class Request:
    """What of an HTTP request is signed, exactly as it is on the wire.

    Attributes:
        method: In capitals.
        path: Percent-encoded, from its first slash.
        query: Percent-encoded, without the question mark; "" where there is none.
        fields: Header fields in their order, names in any case.
        body: The content; b"" where there is none.
    """

    method: str
    path: str
    query: str
    fields: Sequence[tuple[str, str]]
    body: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A signature as a request shows it: well-formed, in time, and not verified yet.

    Attributes:
        key_id: The SHA-256 of the signer's certificate, in hexadecimal.
        algorithm: As RFC 9421 3.3 names it.
        nonce: Never used twice by the same key.
        created: When the request was signed, by the signer's clock.
        base: What is signed (RFC 9421 2.5).
        value: Raw r||s.
    """

    key_id: str
    algorithm: str
    nonce: str
    created: datetime.datetime
    base: bytes = dataclasses.field(repr=False)
    value: bytes = dataclasses.field(repr=False)


def content_digest(body: bytes) -> str:
    """The Content-Digest field of a body (RFC 9530 2)."""
    return f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"


def signature_base(components: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """Return the bytes that are signed (RFC 9421 2.5).

    Args:
        components: Names and values, in the order in which they are covered.
        parameters: The inner list with its parameters, as in Signature-Input.
    """
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


def check_value(public_key: object, algorithm: str, base: bytes, value: bytes) -> None:
    """Verify a signature over a signature base.

    Raises:
        MessageSignatureError: The algorithm is not the key's, or the value does not verify.
    """
    kind = algorithms.key_kind(public_key)
    expected = _NAMES.get(kind)
    if expected is None or algorithm != expected:
        raise MessageSignatureError(
            f"expected alg to be {expected or 'that of an EC key'} for this key"
        )
    hash_algorithm = kind.hash_algorithm
    try:
        signature.check_value(
            public_key,
            signature.represent(base, hash_algorithm),
            signature.SignatureValue(algorithms.SignatureAlgorithm.ECDSA, hash_algorithm, value),
        )
    except errors.InputError as error:
        raise MessageSignatureError(
            "the signature does not verify: the request is not what its sender signed"
        ) from error


def sign(
    request: Request,
    key: store.KeyHandle,
    *,
    key_id: str,
    tag: str,
    at: datetime.datetime,
) -> Mapping[str, str]:
    """Return the fields that make a request a signed one.

    Args:
        request: Its `fields` hold at least the content type, where it has one.
        key: An EC key.
        key_id: The SHA-256 of the signer's certificate, in hexadecimal.
        tag: What the signature is for; the verifier expects the same.
        at: By the signer's clock.

    Raises:
        UnsupportedAlgorithmError: A key of another kind.
        DeviceError: The key's module failed.
    """
    kind = algorithms.key_kind(key.public_key)
    name = _NAMES.get(kind)
    if name is None:
        raise algorithms.UnsupportedAlgorithmError(
            f"expected a key on P-256 or P-384 to sign requests with, got {kind.value}"
        )
    digest = content_digest(request.body)
    fields = {field.lower(): value for field, value in request.fields}
    fields["content-digest"] = digest
    covered = (*_REQUIRED, *(field for field in _OPTIONAL if field in fields))
    created = int(at.timestamp())
    parameters = (
        f"({' '.join(f'{chr(34)}{one}{chr(34)}' for one in covered)})"
        f";created={created};expires={created + int(LIFETIME.total_seconds())}"
        f';nonce="{secrets.token_urlsafe(NONCE_BYTES)}";keyid="{key_id}"'
        f';alg="{name}";tag="{tag}"'
    )
    base = signature_base(_components(request, fields, covered), parameters)
    value = key.sign(signature.represent(base, kind.hash_algorithm)).value
    return {
        "Content-Digest": digest,
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}=:{_base64(value)}:",
    }


def read(request: Request, *, tag: str, at: datetime.datetime) -> Claim:
    """Read the signature of a request and check all that needs no key.

    Args:
        request: As it came; every field that came, repeated ones too.
        tag: What the signature must be for.
        at: By our clock.

    Raises:
        MessageSignatureError: No signature, several, one that is malformed or leaves something
            uncovered, or one for another purpose.
        ClockDifferenceError: Not signed now.
        ContentDigestError: The body is another one.
    """
    fields = _single_fields(request)
    found = _INPUT.fullmatch(_needed(fields, "signature-input"))
    if found is None:
        raise MessageSignatureError(
            "expected Signature-Input of one signature named imza with created, expires, nonce,"
            " keyid, alg and tag, in this order"
        )
    covered = tuple(one.strip('"') for one in found["components"].split(" "))
    expected = (*_REQUIRED, *(field for field in _OPTIONAL if field in fields))
    if covered != expected:
        raise MessageSignatureError(
            f"expected a signature that covers {', '.join(expected)}, in this order"
        )
    if found["tag"] != tag:
        raise MessageSignatureError(f"expected a signature with the tag {tag}")
    created = _check_time(int(found["created"]), int(found["expires"]), at)
    _check_digest(_needed(fields, "content-digest"), request.body)
    value = _SIGNATURE.fullmatch(_needed(fields, "signature"))
    if value is None:
        raise MessageSignatureError("expected Signature of one signature named imza")
    return Claim(
        key_id=found["keyid"],
        algorithm=found["alg"],
        nonce=found["nonce"],
        created=created,
        base=signature_base(_components(request, fields, covered), found["params"]),
        value=_binary(value["value"]),
    )


def _components(
    request: Request, fields: Mapping[str, str], covered: Sequence[str]
) -> list[tuple[str, str]]:
    # RFC 9421 2.2.1, 2.2.6 and 2.2.7: an absent query is a question mark alone.
    derived = {
        "@method": request.method,
        "@path": request.path or "/",
        "@query": f"?{request.query}",
    }
    if len(request.path) + len(request.query) > MAX_TARGET_BYTES:
        raise MessageSignatureError(f"expected an address of at most {MAX_TARGET_BYTES} bytes")
    found = [(name, derived.get(name) or fields[name]) for name in covered]
    if not all(_VISIBLE.fullmatch(value) for _, value in found):
        raise MessageSignatureError("expected visible ASCII in what is signed")
    return found


def _single_fields(request: Request) -> Mapping[str, str]:
    """The fields that matter, of which none may come twice."""
    found: dict[str, str] = {}
    for name, value in request.fields:
        field = name.lower()
        if field not in _FIELDS:
            continue
        if field in found:
            raise MessageSignatureError(f"expected the field {field} once, got it again")
        if len(value) > MAX_FIELD_BYTES:
            raise MessageSignatureError(
                f"expected the field {field} to have at most {MAX_FIELD_BYTES} bytes"
            )
        found[field] = value.strip(" \t")
    return found


def _needed(fields: Mapping[str, str], name: str) -> str:
    try:
        return fields[name]
    except KeyError:
        raise MessageSignatureError(
            f"expected a request signed by an operator (RFC 9421), got one without {name}"
        ) from None


def _check_time(created: int, expires: int, at: datetime.datetime) -> datetime.datetime:
    if not created < expires <= created + LIFETIME.total_seconds():
        raise MessageSignatureError(
            f"expected expires at most {LIFETIME.total_seconds():.0f} s after created"
        )
    difference = at.timestamp() - created
    if abs(difference) > CLOCK_WINDOW.total_seconds():
        raise ClockDifferenceError(
            f"expected a request signed within {CLOCK_WINDOW.total_seconds():.0f} s of our clock,"
            f" got one signed {abs(difference):.0f} s {'before' if difference > 0 else 'after'} it:"
            " check both machines' clocks"
        )
    if at.timestamp() > expires:
        raise ClockDifferenceError("the signature has expired: sign the request anew")
    return datetime.datetime.fromtimestamp(created, datetime.UTC)


def _check_digest(field: str, body: bytes) -> None:
    found = _DIGEST.fullmatch(field)
    if found is None:
        raise ContentDigestError("expected Content-Digest of sha-256 alone (RFC 9530 2)")
    if not hmac.compare_digest(_binary(found["value"]), hashlib.sha256(body).digest()):
        raise ContentDigestError("the body is not the one that Content-Digest tells of")


def _binary(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageSignatureError("expected standard base64 with padding") from error
    # Unused bits that are not zero would be a second spelling of the same bytes.
    if _base64(value) != text:
        raise MessageSignatureError("expected base64 without bits that mean nothing")
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
