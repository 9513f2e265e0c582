"""A personalisation station's list: a call, a command, and what becomes of each line."""

import base64
import concurrent.futures
import json
import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy
from click.testing import CliRunner

from ca import commands, csr, orders
from ca.applications import api as applications_api
from ca.applications import states
from ca.bulk import api as bulk_api
from ca.bulk import certification
from ca.operators import gate
from pki import (
    algorithms,
    audit,
    certificates,
    clock,
    errors,
    registration,
    registration_answers,
    registration_calls,
    registry,
    web,
)
from tests.support import ca_world, operators, servers


@pytest.fixture
def office(world: ca_world.World, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A running CA zone that takes batches; the file names an operator of each role."""
    present = clock.FixedClock(world.at)
    gates = gate.SignedRequestGate(world.sessions, clock.SystemClock())
    routers = [
        bulk_api.routes(world.sessions, world.hierarchy, gates, present),
        applications_api.routes(world.desk, gates, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        yield operators.office(world, tmp_path, base_url)


def _list(path: pathlib.Path, batch: list[tuple[str, str, bytes]]) -> None:
    lines = [
        {"application": one, "profile": profile, "csr": base64.b64encode(csr_der).decode()}
        for one, profile, csr_der in batch
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))


def test_each_ends_as_it_would_alone(world: ca_world.World) -> None:
    approved, waiting = world.application(), _waiting(world)
    good = certification.Asked(approved, "sign", ca_world.make_csr())
    asked = [
        good,
        certification.Asked(approved, "authenticate", ca_world.make_csr()),
        certification.Asked(waiting, "sign", ca_world.make_csr()),
        certification.Asked("nobody", "sign", ca_world.make_csr()),
        certification.Asked(approved, "cook", ca_world.make_csr()),
        certification.Asked(approved, "sign", b"none"),
        good,
    ]
    answers = certification.certify_applications(
        world.sessions, world.hierarchy, asked, world.at, actor="test"
    )
    alone = world.certify(approved, "sign", good.csr_der)
    assert answers[0] == alone
    assert [type(one) for one in answers[2:]] == [
        states.NotApprovedError,
        states.ApplicationNotFoundError,
        type(answers[4]),
        csr.CSRError,
        orders.RequestInProgressError,
    ]
    assert isinstance(answers[4], errors.InputError)
    authenticate = answers[1]
    assert not isinstance(authenticate, errors.ImzaError)
    issuer = certificates.parse(authenticate.chain_der[0])
    certificates.check_issued_by(certificates.parse(authenticate.certificate_der), issuer)


def test_the_command_asks_for_a_whole_list_and_gives_it_again(
    world: ca_world.World, office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    batch = [(world.application(), "sign", ca_world.make_csr()) for _ in range(4)]
    # Too much for one call together.
    large = ca_world.make_csr(algorithms.KeyKind.RSA3072)
    batch.append((world.application(), "sign", large))
    batch.append((_waiting(world), "sign", ca_world.make_csr()))
    path, output = tmp_path / "list.jsonl", tmp_path / "issued.jsonl"
    _list(path, batch)
    arguments = ["issue-batch", str(path), "-o", str(output), "--credentials", str(office)]

    texts = []
    for _ in range(2):
        ran = CliRunner().invoke(
            commands.group, [*arguments, "--json"], standalone_mode=False, catch_exceptions=False
        )
        assert ran.return_value == 4
        assert json.loads(ran.stdout) == {"issued": 5, "refused": 1, "output": str(output)}
        texts.append(output.read_text())
    assert texts[0] == texts[1]
    lines = [json.loads(one) for one in texts[0].splitlines()]
    assert [one["application"] for one in lines] == [one[0] for one in batch]
    assert lines[5]["problem"]["code"] == "not-approved"
    for line, (_, _, csr_der) in zip(lines[:5], batch[:5], strict=True):
        certificate = certificates.parse(base64.b64decode(line["certificate"]))
        key = certificates.public_key(certificate)
        assert certificates.key_sha256(key) == csr.parse(csr_der).key_sha256
        issuer = certificates.parse(base64.b64decode(line["chain"][0]))
        certificates.check_issued_by(certificate, issuer)


@pytest.mark.parametrize(
    "line",
    ["nothing", "[]", "{}", '{"application": 1, "profile": "sign", "csr": "AA=="}',
     '{"application": "x", "profile": "sign", "csr": "?"}'],
)  # fmt: skip
def test_a_list_with_a_wrong_line_asks_for_nothing(
    line: str, office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(line + "\n")
    output = tmp_path / "issued.jsonl"
    ran = CliRunner().invoke(
        commands.group,
        ["issue-batch", str(path), "-o", str(output), "--credentials", str(office)],
    )
    assert ran.exit_code == 2
    assert "line 1" in ran.output
    assert not output.exists()


@pytest.mark.parametrize(
    "body",
    [{}, {"certificates": []}, {"certificates": [{}]}, {"certificates": 1},
     {"certificates": [{"application": "x", "profile": "sign", "csr": "AA=="}] * 101}],
)  # fmt: skip
def test_a_body_that_is_no_batch_is_refused(body: object, office: pathlib.Path) -> None:
    with (
        registration_calls.open_client(None, office) as client,
        pytest.raises(registration_answers.RegistrationRefusedError),
    ):
        client.call("POST", "certificates/batch", body)


def test_a_csr_that_is_no_base64_is_refused_in_its_place(
    world: ca_world.World, office: pathlib.Path
) -> None:
    good = base64.b64encode(ca_world.make_csr()).decode()
    body = {
        "certificates": [
            {"application": world.application(), "profile": "sign", "csr": one}
            for one in ("?", good)
        ]
    }
    with registration_calls.open_client(None, office) as client:
        results = client.call("POST", "certificates/batch", body)["results"]
    assert isinstance(results, list)
    assert results[0]["problem"]["code"] == "csr-malformed"
    assert "certificate" in results[1]


def test_eight_clients_at_once_get_all_that_they_ask_for(
    world: ca_world.World, office: pathlib.Path
) -> None:
    batch = [(world.application(), ca_world.make_csr()) for _ in range(24)]

    def ask(share: list[tuple[str, bytes]]) -> list[int]:
        with registration_calls.open_client(None, office) as client:
            return [client.certify(one, "sign", csr_der).serial_number for one, csr_der in share]

    shares = [batch[start::8] for start in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        serials = [one for share in pool.map(ask, shares) for one in share]
    assert len(set(serials)) == len(batch)
    with world.sessions() as session:
        audit.verify(session)
        states_found = session.scalars(sqlalchemy.select(registry.CertificateRow.state)).all()
    assert set(states_found) == {"issued"}


def _waiting(world: ca_world.World) -> str:
    applicant = ca_world.subjects.Applicant(
        registration.Category.BUSINESS, ca_world.CITIZEN, ca_world.ORGANISATION, "Mühasib"
    )
    return world.vetted(applicant).id
