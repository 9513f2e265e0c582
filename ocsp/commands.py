"""`imza ocsp`: ask a responder, for people who look for a fault."""

import json
import pathlib
import typing

import click

if typing.TYPE_CHECKING:
    from cryptography import x509

    from ocsp import client
    from pki import outbound


@click.group("ocsp", epilog="Example: imza ocsp query signer.pem --issuer citizen.cer")
def group() -> None:
    """Ask for the status of certificates."""


@group.command("query")
@click.argument("cert", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option(
    "--issuer",
    "issuer_file",
    type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    help="The issuer's certificate; else it is fetched from where CERT says.",
)
@click.option("--url", help="The responder's address; else what CERT says.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def query(
    cert: pathlib.Path,
    issuer_file: pathlib.Path | None,
    url: str | None,
    save: pathlib.Path | None,
    as_json: bool,
) -> None:
    """Ask for the status of the certificate in the file CERT (PEM or DER).

    The answer is checked as a careful relying party would: who signed it, for which
    certificate, when, and with the nonce that was sent. --save keeps the response.

    Example: imza ocsp query signer.pem --issuer citizen.cer
    """
    from ocsp import client
    from pki import clock, outbound

    http = outbound.Client()
    try:
        certificate = _load(cert)
        issuer = _load(issuer_file) if issuer_file else _fetch_issuer(http, certificate)
        checked = client.fetch_status(
            http, certificate, issuer, clock.SystemClock().now(), urls=(url,) if url else ()
        )
    finally:
        http.close()
    if save is not None:
        save.write_bytes(checked.response_der)
    facts = _describe(certificate, checked)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ')}: {value}")


def _load(path: pathlib.Path) -> "x509.Certificate":
    from cryptography import x509

    from pki import certificates

    with path.open("rb") as file:
        content = file.read(4 * certificates.MAX_CERTIFICATE_BYTES)
    if not content.lstrip().startswith(b"-----BEGIN"):
        return certificates.parse(content)
    try:
        first = x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise certificates.CertificateError(f"{path} holds no PEM certificate") from error
    return certificates.parse(certificates.to_der(first))


def _fetch_issuer(http: "outbound.Client", certificate: "x509.Certificate") -> "x509.Certificate":
    from pki import certificates, errors

    addresses = certificates.read(certificate).ca_issuers_urls
    if not addresses:
        raise errors.InputError("the certificate does not say where its issuer is: use --issuer")
    return certificates.parse(http.send("GET", addresses[0]).body)


def _describe(
    certificate: "x509.Certificate", checked: "client.CheckedStatus"
) -> dict[str, str | None]:
    from pki import certificates, clock

    known = checked.status
    times = {
        "produced_at": checked.produced_at,
        "this_update": checked.this_update,
        "next_update": checked.next_update,
        "revoked_at": known.revoked_at,
        "invalidity_date": known.invalidity_date,
    }
    return {
        "serial_number": certificates.serial_text(certificate.serial_number),
        "status": "good" if known.is_good else "revoked",
        "reason": known.reason.name if known.reason else None,
        **{name: clock.time_text(time) if time else None for name, time in times.items()},
        "responder": certificates.name_text(checked.responder.subject),
    }
