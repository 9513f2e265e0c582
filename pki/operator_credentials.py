"""An operator's credentials: a certificate of the CA and its key, in a file or in a token.

The file that names them is TOML and holds no secret:

    certificate = "officer.pem"
    server = "https://ca.example.com"     # the CA zone's address; may be left out
    tls_ca_pem = "tls-ca.pem"             # whom to trust for its TLS; may be left out

    key = "officer.key"                   # PKCS#8 in PEM, encrypted, or its owner's alone to read

or, instead of `key`, a key that stays in a card or another PKCS#11 token:

    module = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
    token = "officer"
    key_label = "PIV AUTH key"

Paths are taken from the file's own folder. A `sandbox.json` names such a file for each operator.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import stat
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pki import algorithms, certificates, credentials, errors, operator_roles, settings
from pki.keystore import file_store, passphrase, store

MAX_FILE_BYTES = 2**20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

AskSecret = Callable[[str], passphrase.Passphrase]
"""Asks for a passphrase or a PIN by a prompt; called only where one is needed."""


class OperatorCredentialError(credentials.CredentialsError):
    """The file does not lead to an operator's certificate and key."""


@dataclasses.dataclass(frozen=True)
class CredentialFile:
    """What an operator's file says.

    Attributes:
        certificate: The operator's certificate in PEM; others may follow it.
        key: An encrypted PKCS#8 file in PEM, or one that its owner alone may read.
        module: The shared library of a PKCS#11 module.
        token: The label of the token in it.
        key_label: The label of the key in the token.
        server: The CA zone's base address.
        tls_ca_pem: The authorities of its TLS certificate; None: the machine's own.
    """

    certificate: pathlib.Path
    key: pathlib.Path | None = None
    module: pathlib.Path | None = None
    token: str | None = None
    key_label: str | None = None
    server: str | None = None
    tls_ca_pem: pathlib.Path | None = None

    def __post_init__(self) -> None:
        """Refuse a file that names no key, or two."""
        in_token = (self.module, self.token, self.key_label)
        if (self.key is None) == (None in in_token) or (self.key and any(in_token)):
            raise OperatorCredentialError(
                "expected either `key`, or `module`, `token` and `key_label`"
            )


@dataclasses.dataclass(frozen=True)
class Named:
    """An operator of a sandbox.json: whose credentials are where."""

    name: str
    role: operator_roles.Role
    credential: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the CA is, and which operators a file has.

    Attributes:
        server: The CA zone's base address, without a slash at its end.
        tls_ca_pem: The authorities of its TLS certificate; None: the machine's own.
        operator: The one operator of the file; None for a sandbox.json.
        named: The operators of a sandbox.json.
    """

    server: str
    tls_ca_pem: pathlib.Path | None
    operator: CredentialFile | None
    named: tuple[Named, ...] = ()

    def file_of(self, role: operator_roles.Role) -> CredentialFile:
        """The credentials of whoever makes a call that is for a role.

        A file of one operator is used for everything: what they may do, the CA says.

        Raises:
            OperatorCredentialError: A sandbox.json without an operator of this role.
        """
        if self.operator is not None:
            return self.operator
        for one in self.named:
            if one.role is role:
                return read_credential_file(one.credential)
        raise OperatorCredentialError(f"expected an operator with the role {role.value}")


@dataclasses.dataclass(frozen=True)
class Credential:
    """A certificate and its key, ready to sign."""

    certificate: x509.Certificate
    key: store.KeyHandle

    @property
    def key_id(self) -> str:
        """How signed requests name the certificate."""
        return certificates.sha256(self.certificate)


def read_place(
    path: pathlib.Path, *, server: str | None = None, operator: str | None = None
) -> Place:
    """Read an operator's file, or a sandbox.json.

    Args:
        path: Either.
        server: Instead of the address in the file.
        operator: The name or the role of the one operator to take from a sandbox.json; None
            takes for each call the first whose role it is for.

    Raises:
        OperatorCredentialError: The file is neither, or has no such operator.
    """
    content = _content(path)
    if content.lstrip().startswith(b"{"):
        return _of_sandbox(path, content, server, operator)
    known = read_credential_file(path)
    if operator is not None:
        raise OperatorCredentialError(f"{path}: is one operator's own file, which --as cannot pick")
    base_url = server or known.server
    if base_url is None:
        raise OperatorCredentialError(f"{path}: has no server: name it")
    return Place(base_url.rstrip("/"), known.tls_ca_pem, known)


def read_credential_file(path: pathlib.Path) -> CredentialFile:
    """Read an operator's file; paths in it are made absolute.

    Raises:
        OperatorCredentialError: Not such a file.
    """
    try:
        read = settings.read_section(CredentialFile, settings.read_file(path), name=str(path))
    except settings.SettingsError as error:
        raise OperatorCredentialError(error.message) from error
    return dataclasses.replace(
        read,
        certificate=path.parent / read.certificate,
        key=None if read.key is None else path.parent / read.key,
        tls_ca_pem=None if read.tls_ca_pem is None else path.parent / read.tls_ca_pem,
    )


def open_credential(
    known: CredentialFile, ask: AskSecret, opened: contextlib.ExitStack
) -> Credential:
    """Open an operator's key; what must be closed is put on the stack.

    Raises:
        OperatorCredentialError: A file is unreadable or damaged, or certificate and key do not
            belong together.
        DeviceError: The token does not open.
    """
    certificate = _read_certificate(known.certificate)
    key = (
        _key_of_file(known.key, ask) if known.key is not None else _key_of_token(known, ask, opened)
    )
    if key.public_key != certificate.public_key():
        raise OperatorCredentialError(f"the key does not belong to {known.certificate}")
    return Credential(certificate, key)


def _key_of_file(path: pathlib.Path, ask: AskSecret) -> store.KeyHandle:
    pem = _content(path)
    secret = None
    if b"BEGIN ENCRYPTED PRIVATE KEY" in pem:
        secret = ask(f"Passphrase of {path.name}").reveal().encode()
    elif path.stat().st_mode & _OTHERS:
        raise OperatorCredentialError(
            f"{path}: expected a key that only its owner may read: run chmod 600 on it"
        )
    try:
        key = serialization.load_pem_private_key(pem, secret)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        # Without the cause, which may quote the file.
        raise OperatorCredentialError(
            f"{path}: expected a private key in PEM (PKCS#8), or the passphrase does not open it"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorCredentialError(f"{path}: expected an EC key")
    algorithms.key_kind(key.public_key())
    return file_store.FileKeyHandle(path.stem, key)


def _key_of_token(
    known: CredentialFile, ask: AskSecret, opened: contextlib.ExitStack
) -> store.KeyHandle:
    # Imported here: a machine that keeps keys in files needs no PKCS#11 library.
    from pki.keystore import pkcs11_store

    if known.module is None or known.token is None or known.key_label is None:
        raise OperatorCredentialError("expected `module`, `token` and `key_label`")
    pin = ask(f"PIN of the token {known.token}")
    keys = pkcs11_store.Pkcs11KeyStore(known.module, known.token, pin)
    opened.callback(keys.close)
    return keys.open_key(known.key_label)


def _read_certificate(path: pathlib.Path) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificate(_content(path))
    except ValueError as error:
        raise OperatorCredentialError(f"{path}: expected a certificate in PEM") from error
    return certificates.parse(certificates.to_der(found))


def _of_sandbox(
    path: pathlib.Path, content: bytes, server: str | None, operator: str | None
) -> Place:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise OperatorCredentialError(f"{path}: expected JSON") from None
    named = tuple(_named(path, one) for one in _list(path, found, "operators"))
    if operator is not None:
        named = tuple(one for one in named if operator in (one.name, one.role.value))[:1]
    if not named:
        who = "an operator" if operator is None else f"an operator {operator}"
        raise OperatorCredentialError(f"{path}: expected {who} among its operators")
    base_url = server or found.get("base_url")
    if not isinstance(base_url, str):
        raise OperatorCredentialError(f"{path}: has no base_url: name the server")
    authorities = found.get("tls_ca_pem")
    trusted = None
    if base_url.startswith("https:") and isinstance(authorities, str):
        trusted = pathlib.Path(authorities)
    if operator is not None:
        return Place(base_url.rstrip("/"), trusted, read_credential_file(named[0].credential))
    return Place(base_url.rstrip("/"), trusted, None, named)


def _named(path: pathlib.Path, entry: object) -> Named:
    try:
        if isinstance(entry, dict):
            return Named(
                str(entry["name"]),
                operator_roles.Role(entry["role"]),
                path.parent / str(entry["credential"]),
            )
    except (KeyError, ValueError) as error:
        raise OperatorCredentialError(
            f"{path}: expected operators with name, role and credential"
        ) from error
    raise OperatorCredentialError(f"{path}: expected operators with name, role and credential")


def _list(path: pathlib.Path, found: Mapping[str, Any], name: str) -> list[object]:
    value = found.get(name)
    if not isinstance(value, list):
        raise OperatorCredentialError(
            f"{path}: expected an operator's file, or a sandbox.json with operators"
        )
    return value


def _content(path: pathlib.Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise OperatorCredentialError(f"{path}: cannot be read ({error.strerror})") from error


def ask_on(descriptor: int | None) -> AskSecret:
    """Return what asks on the terminal, or reads one line of a file descriptor instead."""

    def ask(prompt: str) -> passphrase.Passphrase:
        if descriptor is None:
            import click

            return passphrase.Passphrase(click.prompt(prompt, hide_input=True, err=True, type=str))
        return _read_line(descriptor)

    return ask


def _read_line(descriptor: int) -> passphrase.Passphrase:
    line = bytearray()
    try:
        # Byte by byte, since what follows the line belongs to whoever reads next.
        while len(line) <= passphrase.MAX_PASSPHRASE_BYTES:
            byte = os.read(descriptor, 1)
            if byte in (b"", b"\n"):
                break
            line += byte
        return passphrase.Passphrase(line.decode("utf-8").rstrip("\r"))
    except OSError as error:
        raise errors.InputError(
            f"expected a PIN or passphrase on file descriptor {descriptor}, cannot read it"
        ) from error
    except UnicodeDecodeError:
        raise passphrase.PassphraseError("expected a PIN or passphrase in UTF-8") from None
    finally:
        line[:] = bytes(len(line))
