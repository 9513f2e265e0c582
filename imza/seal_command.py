"""`imza seal`: organisations' keys in the signing zone's key store, and requests for them."""

import contextlib
import json
import pathlib
import typing
from collections.abc import Iterator

import click

if typing.TYPE_CHECKING:
    from pki.keystore import store
    from signing_service import settings as signing_settings

_CONFIG = click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="The signing zone's settings file.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(epilog="Example: imza seal list --config /etc/imza/signing.toml")
def group() -> None:
    """Organisations' seals, on the signing zone's own machine."""


@group.command(
    epilog="Example: imza seal request ministry --config /etc/imza/signing.toml -o ministry.csr"
)
@click.argument("name")
@_CONFIG
@click.option(
    "--kind",
    type=click.Choice(["P-256", "P-384"]),
    default="P-256",
    show_default=True,
    help="Of the key, where it is made now.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the request (PKCS#10, PEM).",
)
@_JSON
def request(
    name: str, config_path: pathlib.Path, kind: str, output: pathlib.Path, as_json: bool
) -> None:
    """Make a seal's key in the key store, unless it is there, and a request for its certificate.

    NAME is that of an entry [[signing.seals]]; the key gets the label that the entry names.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    from pki import algorithms, certificate_requests, certificates, durable_files
    from pki.keystore import store

    with _opened(config_path) as (settings, keys):
        found = _named(settings, name)
        try:
            key, made = keys.open_key(found.key_label), False
        except store.KeyNotFoundError:
            key, made = keys.generate(found.key_label, algorithms.KeyKind(kind)), True
        csr = x509.load_der_x509_csr(certificate_requests.build(key))
        place = keys.describe_key(found.key_label).place
        durable_files.replace(output, csr.public_bytes(serialization.Encoding.PEM))
        shown = {
            "seal": name,
            "key_label": found.key_label,
            "key_sha256": certificates.key_sha256(key.public_key),
            "place": place,
            "made": made,
            "output": str(output),
        }
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo(f"key {found.key_label} {'made' if made else 'found'} in {place}")
    click.echo(f"request written to {output}; its certificate belongs in {found.certificate}")


@group.command("list", epilog="Example: imza seal list --config /etc/imza/signing.toml")
@_CONFIG
@_JSON
def list_seals(config_path: pathlib.Path, as_json: bool) -> None:
    """Show every seal, whose it is, who may use it, and whether it works."""
    from pki import certificates, clock, errors
    from signing_service.signing import sealing

    shown = []
    with _opened(config_path) as (settings, keys):
        for one in settings:
            entry: dict[str, object] = {
                "name": one.name,
                "key_label": one.key_label,
                "clients": list(one.clients),
            }
            try:
                certificate = sealing.read_certificate(one)
                facts = certificates.read(certificate)
                entry |= {
                    "subject": facts.subject,
                    "serial_number": certificates.serial_text(facts.serial_number),
                    "not_after": clock.time_text(facts.not_after),
                }
                sealing.check_key(one, certificate, keys.open_key(one.key_label).public_key)
                entry["state"] = "ready"
            except errors.ImzaError as error:
                entry |= {"state": error.code, "reason": error.message}
            shown.append(entry)
    if as_json:
        click.echo(json.dumps({"seals": shown}, ensure_ascii=False))
        return
    for entry in shown:
        clients = ", ".join(typing.cast("list[str]", entry["clients"])) or "nobody"
        click.echo(f"{entry['name']}: {entry.get('reason', entry['state'])}")
        click.echo(f"  {entry.get('subject', 'no certificate')}, used by {clients}")


@contextlib.contextmanager
def _opened(
    path: pathlib.Path,
) -> "Iterator[tuple[tuple[signing_settings.SealSettings, ...], store.KeyStore]]":
    from imza import config as configs
    from pki.keystore import settings as keystore_settings

    config: configs.Config = configs.read(path)
    settings = configs.require(config.signing, "signing")
    keys = keystore_settings.open_store(configs.require(config.keystore, "keystore"))
    with contextlib.closing(keys):
        yield settings.seals, keys


def _named(
    settings: "tuple[signing_settings.SealSettings, ...]", name: str
) -> "signing_settings.SealSettings":
    from pki import errors

    for one in settings:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in settings) or "none"
    raise errors.NotFoundError(f"expected a seal of [[signing.seals]] ({known}), got {name!r}")
