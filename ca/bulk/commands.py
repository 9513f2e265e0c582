"""`imza ca issue-batch`: the certificates of a personalisation station's list."""

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pki import operator_options

if TYPE_CHECKING:
    from pki import registration_answers

MAX_CALL_BYTES = 56 * 2**10
"""The CA reads 64 KiB of JSON at a time; a hundred requests with EC keys take as much."""


@click.command(
    "issue-batch",
    epilog="Example: imza ca issue-batch list.jsonl -o issued.jsonl --credentials w/sandbox.json",
)
@click.argument(
    "path", metavar="LIST", type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write one JSON object for each line of the list.",
)
@operator_options.calls_ca()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    path: pathlib.Path,
    output: pathlib.Path,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> int:
    """Get the certificates of a list of approved applications.

    Each line of LIST is a JSON object: `application` (its id), `profile` (sign or authenticate)
    and `csr` (PKCS#10 in DER, in base64). Each line of the output has the same `application` and
    `profile`, and either `serial_number`, `certificate` and `chain` (DER in base64) or `problem`
    (code, detail, retriable). A list that was cut short is run again as it is: what is issued
    already is given again. The exit code is 4 where at least one was refused.
    """
    from pki import registration_answers

    orders = list(_read(path))
    issued = done = 0
    with (
        ca.open() as client,
        output.open("w", encoding="ascii") as file,
    ):
        for call in _calls(orders):
            for order, answer in zip(call, client.certify_many(call), strict=True):
                issued += isinstance(answer, registration_answers.IssuedCertificate)
                file.write(json.dumps(_written(order, answer)) + "\n")
            file.flush()
            done += len(call)
            click.echo(f"{done} of {len(orders)}", err=True)
    refused = len(orders) - issued
    if as_json:
        click.echo(json.dumps({"issued": issued, "refused": refused, "output": str(output)}))
    else:
        click.echo(f"{issued} issued, {refused} refused: see {output}")
    return 4 if refused else 0


def _read(path: pathlib.Path) -> Iterator["registration_answers.CertificateOrder"]:
    """Read the whole list before anything is asked for: a line that is wrong is told at once."""
    from pki import registration_answers

    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                yield registration_answers.CertificateOrder(
                    _text(entry, "application"),
                    _text(entry, "profile"),
                    base64.b64decode(_text(entry, "csr"), validate=True),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise click.UsageError(
                    f"{path}, line {number}: expected a JSON object with application, profile and"
                    " csr (base64)"
                ) from error


def _text(entry: Any, name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _calls(
    orders: list["registration_answers.CertificateOrder"],
) -> Iterator[list["registration_answers.CertificateOrder"]]:
    """Cut a list into calls that the CA takes."""
    from pki import registration, registration_answers

    call: list[registration_answers.CertificateOrder] = []
    size = 0
    for order in orders:
        needed = len(order.application_id) + len(order.csr_der) * 4 // 3 + 100
        if call and (len(call) == registration.MAX_BATCH or size + needed > MAX_CALL_BYTES):
            yield call
            call, size = [], 0
        call.append(order)
        size += needed
    if call:
        yield call


def _written(
    order: "registration_answers.CertificateOrder",
    answer: "registration_answers.BatchResult",
) -> dict[str, object]:
    from pki import certificates, registration_answers

    value: dict[str, object] = {"application": order.application_id, "profile": order.profile}
    if isinstance(answer, registration_answers.RegistrationRefusedError):
        value["problem"] = {
            "code": answer.problem_code,
            "detail": answer.message,
            "retriable": answer.retriable,
        }
        return value
    return value | {
        "serial_number": certificates.serial_text(answer.serial_number),
        "certificate": base64.b64encode(answer.certificate_der).decode("ascii"),
        "chain": [base64.b64encode(one).decode("ascii") for one in answer.chain_der],
    }
