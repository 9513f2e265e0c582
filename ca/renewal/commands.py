"""`imza ca renew`: the next certificate, for whoever has the key of the old one."""

import contextlib
import json
import pathlib
import typing

import click

if typing.TYPE_CHECKING:
    from pki import registration_answers

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)


@click.command(
    epilog="Example: imza ca renew --old-cert old.pem --old-key old.key --csr new.csr -o new.pem"
    " --server http://127.0.0.1:8080"
)
@click.option("--old-cert", type=_FILE, help="The certificate to be renewed, PEM.")
@click.option("--old-key", type=_FILE, help="Its EC key, PKCS#8 in PEM; or it is in a token:")
@click.option("--module", type=_FILE, help="The token's PKCS#11 library.")
@click.option("--token", help="The token's label.")
@click.option("--key-label", help="The key's label in the token.")
@click.option("--pin-fd", type=int, metavar="N", help="Read passphrase or PIN from descriptor N.")
@click.option("--csr", "csr_path", type=_FILE, help="PKCS#10 for the new key, DER or PEM.")
@click.option(
    "--request",
    "request_path",
    type=_FILE,
    help="A request that is signed already (openssl cms -sign), DER, instead of the above.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the certificate and its chain as PEM.",
)
@click.option("--server", help="The CA zone's address; without --credentials it must be given.")
@click.option(
    "--operator",
    "--credentials",
    "credentials",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="An operator's file or a sandbox.json: the office makes the call.",
)
@click.option("--early", is_flag=True, help="Before the last days; for an office.")
@click.option("--supersede", is_flag=True, help="Revoke the old one; for an office.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def renew(
    old_cert: pathlib.Path | None,
    old_key: pathlib.Path | None,
    module: pathlib.Path | None,
    token: str | None,
    key_label: str | None,
    pin_fd: int | None,
    csr_path: pathlib.Path | None,
    request_path: pathlib.Path | None,
    output: pathlib.Path | None,
    server: str | None,
    credentials: pathlib.Path | None,
    early: bool,
    supersede: bool,
    as_json: bool,
) -> None:
    """Renew a certificate: its own key signs the request for the next one.

    The owner does so in the certificate's last days. An office makes the call where the new key
    is in a card or another device.
    """
    from ca.renewal import signed_request
    from pki import (
        certificates,
        operator_credentials,
        registration_calls,
    )

    if (early or supersede) and credentials is None:
        raise click.UsageError("--early and --supersede are an office's: name --credentials")
    if request_path is not None:
        if csr_path or old_cert:
            raise click.UsageError("expected --request, or --old-cert with a key and --csr")
        request_der = request_path.read_bytes()
    else:
        if csr_path is None or old_cert is None:
            raise click.UsageError("expected --old-cert, its key and --csr, or --request")
        known = operator_credentials.CredentialFile(old_cert, old_key, module, token, key_label)
        with contextlib.ExitStack() as opened:
            old = operator_credentials.open_credential(
                known, operator_credentials.ask_on(pin_fd), opened
            )
            request_der = signed_request.build(_csr_der(csr_path), old.certificate, old.key.sign)
    if credentials is not None:
        old_serial = signed_request.parse(request_der).serial_number
        with registration_calls.open_client(server, credentials) as client:
            made = client.renew(old_serial, request_der, early=early, supersede=supersede)
    elif server is not None:
        made = registration_calls.renew(server, request_der)
    else:
        raise click.UsageError("expected --server or --credentials")
    _print(made, certificates.serial_text(made.serial_number), output, as_json=as_json)


def _csr_der(path: pathlib.Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    content = path.read_bytes()
    if not content.lstrip().startswith(b"-----BEGIN"):
        return content
    try:
        return x509.load_pem_x509_csr(content).public_bytes(serialization.Encoding.DER)
    except ValueError as error:
        raise click.UsageError("expected a PKCS#10 request in DER or PEM") from error


def _print(
    made: "registration_answers.IssuedCertificate",
    serial: str,
    output: pathlib.Path | None,
    *,
    as_json: bool,
) -> None:
    from pki import certificates

    chain = [certificates.parse(one) for one in (made.certificate_der, *made.chain_der)]
    pem = "".join(certificates.to_pem(one) for one in chain)
    if output is not None:
        output.write_text(pem, encoding="ascii")
    if as_json:
        value = {"serial_number": serial, "pem": pem, "output": str(output) if output else None}
        click.echo(json.dumps(value))
        return
    click.echo(f"serial number {serial}")
    if output is None:
        click.echo(pem.rstrip())
