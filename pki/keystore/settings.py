"""Where keys live, as an operator writes it, and the store that follows from it."""

import dataclasses
import enum
import pathlib

from pki import errors
from pki.keystore import file_store, passphrase, store


class SettingsError(errors.InputError):
    """The key store's settings contradict each other."""

    code = "key-store-settings"


class StoreKind(enum.Enum):
    """The kinds of key store."""

    FILE = "file"
    PKCS11 = "pkcs11"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `keystore` table of the settings file.

    Attributes:
        kind: `file` or `pkcs11`.
        secret_file: Holds the passphrase of the files, or the PIN of the token.
        folder: Of the key files.
        module: The PKCS#11 module's shared library.
        token: The label of the token.
    """

    kind: str
    secret_file: pathlib.Path
    folder: pathlib.Path | None = None
    module: pathlib.Path | None = None
    token: str | None = None


def open_store(settings: Settings) -> store.KeyStore:
    """Open the key store that the settings describe.

    Raises:
        SettingsError: An unknown kind, or not exactly the fields that the kind needs.
        PassphraseError: The secret's file cannot be used.
        DeviceError: The store does not open.
    """
    try:
        kind = StoreKind(settings.kind)
    except ValueError as error:
        raise SettingsError(
            f"expected the key store's kind to be file or pkcs11, got {settings.kind!r}"
        ) from error
    if kind is StoreKind.FILE:
        if settings.folder is None or settings.module is not None or settings.token is not None:
            raise SettingsError("a key store of files takes `folder`, no `module` and no `token`")
        return file_store.FileKeyStore(
            settings.folder, passphrase.read_passphrase(settings.secret_file)
        )
    if settings.module is None or settings.token is None or settings.folder is not None:
        raise SettingsError("a pkcs11 key store takes `module` and `token`, and no `folder`")
    # Imported here: a machine that keeps keys in files needs no PKCS#11 library.
    from pki.keystore import pkcs11_store

    return pkcs11_store.Pkcs11KeyStore(
        settings.module, settings.token, passphrase.read_passphrase(settings.secret_file)
    )
