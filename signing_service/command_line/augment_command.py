"""`imza augment`: have a service raise the level of a signed document."""

import json
import pathlib

import click

from pki import durable_files, errors
from pki.terminal_text import printable

MAX_DOCUMENT_BYTES = 512 * 2**20

_FILE = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)


class AugmentationRefusedError(errors.PolicyError):
    """The service refused; the code and the sentence are the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the service's own code."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


@click.command(
    epilog="Example: imza augment signed.p7s --detached contract.txt --level B-LTA"
    " --server http://127.0.0.1:8080 --credentials w/sandbox.json -o archived.p7s",
)
@click.argument("file", type=_FILE)
@click.option("--level", type=click.Choice(["B-T", "B-LT", "B-LTA"]), default="B-LTA")
@click.option("--detached", multiple=True, type=_FILE, help="An original that a signature covers.")
@click.option("--server", required=True, metavar="URL", help="Base address of the service.")
@click.option(
    "--credentials", required=True, type=_FILE, help="An api_client object or a sandbox.json."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="The augmented document.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def augment(
    file: pathlib.Path,
    level: str,
    detached: tuple[pathlib.Path, ...],
    server: str,
    credentials: pathlib.Path,
    output: pathlib.Path,
    as_json: bool,
) -> int:
    """Raise every signature of a document to a level, whoever made it.

    What is in the document stays. A signature that has an archive time stamp already gets a
    further one, before the algorithms or certificates of the last one grow old. Counter-signatures
    are raised too, but for those that cannot be, such as one under an archive time stamp.
    """
    from pki import credentials as client_credentials
    from pki import multipart, outbound

    known = client_credentials.read_credentials(credentials, "api_client", server=server)
    client = outbound.Client(
        timeout_s=120.0, max_bytes=MAX_DOCUMENT_BYTES, trust_pem=known.tls_ca_pem
    )
    form = multipart.build(
        [
            multipart.Part("parameters", json.dumps({"level": level}).encode(), "application/json"),
            multipart.file_part("document", file),
            *(multipart.file_part("detached", one) for one in detached),
        ]
    )
    try:
        reply = client_credentials.TokenSource(client, known, scope="sign").send(
            "POST",
            f"{known.base_url}/api/v1/augmentations",
            body=form.body,
            content_type=form.content_type,
        )
    except outbound.PeerAnswerError as error:
        if (problem := error.problem()) is not None:
            raise AugmentationRefusedError(problem.code, problem.detail) from error
        raise
    finally:
        client.close()
    durable_files.replace(output, reply.body)
    codes = reply.headers.get("imza-counter-signatures-left", "")
    left = [one for one in codes.split(", ") if one]
    if as_json:
        told = {"file": str(file), "level": level, "output": str(output)}
        click.echo(json.dumps({**told, "counter_signatures_left": left}))
    else:
        click.echo(printable(f"{file.name}: raised to {level}, written to {output}"), err=True)
        if left:
            click.echo(printable(f"Counter-signatures left as they are: {codes}"), err=True)
    return 0
