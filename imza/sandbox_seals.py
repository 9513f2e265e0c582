"""The sandbox's seal: a TEST ministry's, certified as any organisation's is, by two officers."""

import pathlib

from cryptography import x509

from imza import people
from pki import (
    algorithms,
    certificate_requests,
    certificates,
    durable_files,
    errors,
    profiles,
    registration,
    registration_calls,
)
from pki.keystore import store

REPRESENTATIVE, ORGANISATION = people.OFFICIAL, people.MINISTRY
"""Who applies, and whose seal it is."""


def certify(
    keys: store.KeyStore,
    label: str,
    target: pathlib.Path,
    registrar: registration_calls.RegistrationClient,
) -> None:
    """Have the key's certificate issued and write it with its chain; again changes nothing.

    The representative applies and is vetted by one officer; another one approves. A key in a file
    is certified as one, without a claim of a qualified device.

    Args:
        keys: The signing zone's key store.
        label: Of the key; it is made where it is missing.
        target: Where the certificate goes, as PEM.
        registrar: Calls the CA by the operator each call is for.
    """
    try:
        key = keys.open_key(label)
    except store.KeyNotFoundError:
        key = keys.generate(label, algorithms.KeyKind.P256)
    if target.exists() and _names(target, key):
        return
    application = registrar.apply(
        registration.Category.ORGANISATION,
        REPRESENTATIVE.vetted,
        REPRESENTATIVE.vetting,
        organisation=ORGANISATION,
        profiles=(profiles.SEAL.name,),
    )
    if application.state is not registration.ApplicationState.AWAITING_APPROVAL:
        raise errors.StateError("expected that another officer must approve a seal's application")
    registrar.approve(application.id)
    issued = registrar.certify(
        application.id,
        profiles.SEAL.name,
        certificate_requests.build(key),
        software_key=not keys.describe_key(label).stays_inside,
    )
    chain = [certificates.parse(one) for one in (issued.certificate_der, *issued.chain_der)]
    durable_files.replace(target, "".join(map(certificates.to_pem, chain)).encode("ascii"))


def _names(path: pathlib.Path, key: store.KeyHandle) -> bool:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_key() == key.public_key
