"""`imza tsa`: ask for a time stamp, for people who look for a fault."""

import json
import pathlib

import click


@click.group("tsa", epilog="Example: imza tsa query contract.pdf --url http://127.0.0.1:8080/tsa")
def group() -> None:
    """Ask for time stamps."""


@group.command("query")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--url", required=True, help="The authority's address.")
@click.option("--policy", help="Take only a token of this policy (an object identifier).")
@click.option(
    "--hash",
    "hash_name",
    type=click.Choice(["SHA-256", "SHA-384", "SHA-512"]),
    default="SHA-256",
    show_default=True,
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Keep the token (DER) in this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def query(
    file: pathlib.Path,
    url: str,
    policy: str | None,
    hash_name: str,
    save: pathlib.Path | None,
    as_json: bool,
) -> None:
    """Ask for a time stamp over FILE and check the token.

    Only the hash of FILE leaves this machine. The token's imprint, nonce, policy, signature and
    the purpose of its certificate are checked; whether that certificate is trusted is not.

    Example: imza tsa query contract.pdf --url http://127.0.0.1:8080/tsa --save contract.tst
    """
    from pki import algorithms, certificates, clock, outbound
    from tsa import client, messages

    hash_algorithm = algorithms.HashAlgorithm(hash_name)
    imprint = messages.MessageImprint(hash_algorithm, _digest(file, hash_algorithm.short_name))
    http = outbound.Client()
    try:
        token = client.request_time_stamp(
            http, url, imprint, clock.SystemClock().now(), policy=policy
        )
    finally:
        http.close()
    if save is not None:
        save.write_bytes(token.token_der)
    info = token.info
    accuracy = info.accuracy
    facts = {
        "time": clock.time_text(info.gen_time),
        "serial_number": certificates.serial_text(info.serial_number),
        "policy": info.policy,
        "hash_algorithm": hash_name,
        "hash": info.imprint.hash.hex(),
        "accuracy_ms": int(accuracy.total_seconds() * 1000) if accuracy is not None else None,
        "issuer": certificates.name_text(client.check_token(token, imprint).subject),
    }
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ')}: {value}")


def _digest(path: pathlib.Path, name: str) -> bytes:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, name).digest()
