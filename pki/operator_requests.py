"""Requests for operators' certificates: a key in a new file or in a token, and its PKCS#10."""

import contextlib
import dataclasses
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pki import algorithms, certificate_requests, durable_files, errors, operator_credentials
from pki.keystore import file_store, store


@dataclasses.dataclass(frozen=True)
class KeyPlace:
    """Where an operator's key is, or will be.

    Attributes:
        new_file: A key is made and written to this new file, encrypted.
        module: The PKCS#11 module of the token, instead.
        token: The label of the token.
        key_label: The label of the key.
        generate: Whether it is made in the token.
    """

    new_file: pathlib.Path | None = None
    module: pathlib.Path | None = None
    token: str | None = None
    key_label: str | None = None
    generate: bool = False


def make(
    where: KeyPlace,
    name: str,
    output: pathlib.Path,
    *,
    server: str | None = None,
    secret_fd: int | None = None,
) -> pathlib.Path:
    """Write a request, and beside it the operator's file; return where that is.

    Args:
        where: The key.
        name: The operator's name; `NAME.toml` will name the certificate `NAME.pem`.
        output: Where the request goes, in PEM.
        server: The CA zone's address, for the operator's file.
        secret_fd: Where the passphrase or PIN is read; None asks on the terminal.

    Raises:
        StateError: A file is there already.
        DeviceError: The token does not open.
    """
    ask = operator_credentials.ask_on(secret_fd)
    file = output.parent / f"{name}.toml"
    if file.exists():
        raise errors.StateError(f"{file} exists already: choose another folder")
    content: dict[str, str] = {"certificate": f"{name}.pem"}
    if server is not None:
        content["server"] = server
    with contextlib.ExitStack() as opened:
        handle: store.KeyHandle
        if where.new_file is not None:
            if where.new_file.exists():
                raise errors.StateError(f"{where.new_file} exists already: no key is overwritten")
            folder = where.new_file.absolute().parent
            if where.new_file.suffix != ".key":
                raise errors.InputError("expected a key file whose name ends with .key")
            keys = file_store.FileKeyStore(folder, ask("New passphrase"))
            opened.callback(keys.close)
            handle = keys.generate(where.new_file.stem, algorithms.KeyKind.P256)
            content["key"] = str(where.new_file.absolute())
        else:
            handle = _in_token(where, ask, opened)
            content |= {
                "module": str(where.module),
                "token": str(where.token),
                "key_label": str(where.key_label),
            }
        csr_der = certificate_requests.build(handle)
    request = x509.load_der_x509_csr(csr_der)
    durable_files.replace(output, request.public_bytes(serialization.Encoding.PEM))
    # TOML's basic strings are JSON's, as far as addresses and paths go.
    lines = [f"{entry} = {json.dumps(value)}" for entry, value in content.items()]
    durable_files.replace(file, "\n".join([*lines, ""]).encode())
    return file


def read(path: pathlib.Path) -> bytes:
    """Return the DER of a request that may be PEM; the CA judges what is in it.

    Raises:
        InputError: Unreadable.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.lstrip().startswith(b"-----BEGIN"):
        return content
    try:
        request = x509.load_pem_x509_csr(content)
    except ValueError as error:
        raise errors.InputError(f"{path}: expected a PKCS#10 request in DER or PEM") from error
    return request.public_bytes(serialization.Encoding.DER)


def _in_token(
    where: KeyPlace, ask: operator_credentials.AskSecret, opened: contextlib.ExitStack
) -> store.KeyHandle:
    from pki.keystore import pkcs11_store

    if where.module is None or where.token is None or where.key_label is None:
        raise errors.InputError("expected a module, a token and a key's label")
    pin = ask(f"PIN of the token {where.token}")
    keys = pkcs11_store.Pkcs11KeyStore(where.module, where.token, pin)
    opened.callback(keys.close)
    if where.generate:
        return keys.generate(where.key_label, algorithms.KeyKind.P256)
    return keys.open_key(where.key_label)
