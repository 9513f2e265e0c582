"""A key in a PKCS#12 file: made at a desk, for test installations, whose CA alone certifies it."""

import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from pki import (
    certificates,
    durable_files,
    errors,
    registration_answers,
    registration_calls,
)

MIN_PASSPHRASE = 8
MAX_PASSPHRASE = 1024


class PassphraseError(errors.InputError):
    """The passphrase is missing, too short or too long; it is not told."""

    code = "passphrase-refused"


class FileTakenError(errors.InputError):
    """A file of this name is there, and is not replaced."""

    code = "file-taken"


def read_passphrase(descriptor: int) -> bytes:
    """Read one line from an open file descriptor.

    Raises:
        PassphraseError: None, or not of 8 to 1024 bytes.
    """
    try:
        with os.fdopen(descriptor, "rb") as file:
            line = file.readline(MAX_PASSPHRASE + 2).rstrip(b"\r\n")
    except OSError as error:
        raise PassphraseError(f"the descriptor {descriptor} cannot be read") from error
    if not MIN_PASSPHRASE <= len(line) <= MAX_PASSPHRASE:
        raise PassphraseError(
            f"expected a passphrase of {MIN_PASSPHRASE} to {MAX_PASSPHRASE} bytes"
        )
    return line


def issue(
    client: registration_calls.RegistrationClient,
    application_id: str,
    profile: str,
    path: pathlib.Path,
    passphrase: bytes,
) -> registration_answers.IssuedCertificate:
    """Make a key, have it certified, and write both to a new file of mode 0600 (RFC 7292).

    Raises:
        FileTakenError: The file exists.
        RegistrationRefusedError: The CA's rules forbid it: it is no test installation, perhaps.
        PeerError: The CA did not answer.
    """
    if path.exists():
        raise FileTakenError(f"{path} exists: name a new file")
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr_der = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    issued = client.certify(application_id, profile, csr_der, software_key=True)
    content = pkcs12.serialize_key_and_certificates(
        certificates.serial_text(issued.serial_number).encode(),
        key,
        certificates.parse(issued.certificate_der),
        [certificates.parse(one) for one in issued.chain_der[:-1]],
        serialization.BestAvailableEncryption(passphrase),
    )
    try:
        durable_files.create(path, content)
    except FileExistsError as error:
        raise FileTakenError(f"{path} exists: name a new file") from error
    return issued
