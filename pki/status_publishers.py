"""Who publishes status files: a key signs them, whose public part responders elsewhere have."""

import pathlib
import typing
from collections.abc import Collection, Sequence

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pki import algorithms, errors, settings, signature, status_file
from pki.keystore import store

SIGNED_TEXT = b"imza status file 1\0"
"""Stands before the digest in what is signed, so that the value means nothing elsewhere."""

_PEM_END = b"-----END PUBLIC KEY-----"


def sign(pieces: Sequence[bytes], key: store.KeyHandle) -> tuple[bytes, ...]:
    """Return a file with the signature of its publisher, a P-256 key.

    Raises:
        DeviceError: The key did not sign.
    """
    data = signature.represent(SIGNED_TEXT + pieces[-1], algorithms.HashAlgorithm.SHA256)
    value = key.sign(data).value
    return (
        *pieces,
        status_file.signature_block(status_file.Signature(_public_key_der(key.public_key), value)),
    )


def check_publisher(
    file: status_file.StatusFile, publishers: Collection[algorithms.PublicKey]
) -> None:
    """Check that one of these keys signed a file; none of its content was looked at before.

    Raises:
        StatusFileError: Unsigned, signed by another key, or not signed by it.
    """
    if file.signature is None:
        raise status_file.StatusFileError(
            "expected a status file that its publisher signed, got one that is not"
        )
    for key in publishers:
        if _public_key_der(key) == file.signature.public_key_der:
            value = signature.SignatureValue(
                algorithms.SignatureAlgorithm.ECDSA,
                algorithms.HashAlgorithm.SHA256,
                file.signature.value,
            )
            data = signature.represent(SIGNED_TEXT + file.digest, value.hash_algorithm)
            try:
                signature.check_value(key, data, value)
            except errors.InputError as error:
                raise status_file.StatusFileError(
                    "the signature of the status file does not verify"
                ) from error
            return
    raise status_file.StatusFileError(
        "the status file was published by another key: is it of another installation?"
    )


def load_publishers(path: pathlib.Path) -> tuple[algorithms.PublicKey, ...]:
    """Read the publishers' public keys, in PEM one after another: several while a key changes.

    Raises:
        SettingsError: Unreadable, or not P-256 keys.
    """
    try:
        text = path.read_bytes()
        blocks = [end + _PEM_END for end in text.split(_PEM_END)[:-1]]
        found = tuple(serialization.load_pem_public_key(one.strip()) for one in blocks)
    except (OSError, ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise settings.SettingsError(
            f"{path}: expected public keys in PEM ({type(error).__name__})"
        ) from error
    for one in found:
        if not isinstance(one, ec.EllipticCurvePublicKey) or one.curve.name != "secp256r1":
            raise settings.SettingsError(f"{path}: expected P-256 keys, got another")
    if not found:
        raise settings.SettingsError(f"{path}: expected a public key in PEM, got none")
    return typing.cast(tuple[algorithms.PublicKey, ...], found)


def _public_key_der(key: algorithms.PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
