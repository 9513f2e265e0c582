"""Operators for tests: of a test world's own CA, of no CA at all, and a client that is several."""

import contextlib
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import orm

from ca import hierarchy as hierarchies
from ca.operators import register, roles, tables
from imza import sandbox_operators
from pki import (
    certificates,
    clock,
    operator_credentials,
    outbound,
    profiles,
    registration_calls,
    registry,
    signed_requests,
)
from tests.support import ca_world
from tests.support import hierarchy as hierarchy_support
from tests.support.hierarchy import MemoryKey

NAMES = {
    roles.Role.RA_OFFICER: "TEST-officer",
    roles.Role.APPROVER: "TEST-approver",
    roles.Role.CA_ADMINISTRATOR: "TEST-administrator",
    roles.Role.AUDITOR: "TEST-auditor",
}


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator whose key the test holds."""

    name: str
    role: roles.Role
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def credential(self) -> operator_credentials.Credential:
        return operator_credentials.Credential(self.certificate, MemoryKey(self.name, self.key))

    def write(self, folder: pathlib.Path, base_url: str) -> pathlib.Path:
        """Write the operator's file, with key and certificate beside it."""
        folder.mkdir(exist_ok=True)
        key = folder / f"{self.name}.key"
        key.touch(mode=0o600)
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / f"{self.name}.pem").write_text(certificates.to_pem(self.certificate))
        content = {"certificate": f"{self.name}.pem", "key": key.name, "server": base_url}
        file = folder / f"{self.name}.toml"
        file.write_text(tomli_w.dumps(content))
        return file


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def enrol(
    world: ca_world.World, role: roles.Role, name: str | None = None, **given: Any
) -> Operator:
    """Add an operator to a world's CA as its own machine's command does."""
    key = given.pop("key", None) or new_key()
    name = name or NAMES[role]
    made = register.add(
        world.sessions,
        world.hierarchy,
        name,
        role,
        sandbox_operators.make_request(key),
        given.pop("at", world.at),
        actor=given.pop("actor", register.LOCAL),
    )
    return Operator(name, role, key, certificates.parse(made.certificate_der))


def office(world: ca_world.World, folder: pathlib.Path, base_url: str) -> pathlib.Path:
    """Enrol an operator of each role; the file names them as `sandbox.json` does."""
    return write(folder, base_url, [enrol(world, role) for role in roles.Role])


def write(folder: pathlib.Path, base_url: str, operators: Sequence[Operator]) -> pathlib.Path:
    """Write a file that names operators as `sandbox.json` does."""
    named = [
        {
            "name": one.name,
            "role": one.role.value,
            "credential": str(one.write(folder / "operators", base_url)),
        }
        for one in operators
    ]
    file = folder / "sandbox.json"
    file.write_text(json.dumps({"base_url": base_url, "operators": named}))
    return file


def certified_by(
    authority: hierarchy_support.Holder, role: roles.Role, at: datetime.datetime
) -> Operator:
    """Somebody whom an authority of the tests has certified, in no database yet."""
    key = new_key()
    certificate = _certificate(key, authority.certificate.subject, authority.key, at)
    return Operator(NAMES[role], role, key, certificate)


def stranger(role: roles.Role = roles.Role.RA_OFFICER) -> Operator:
    """Somebody who has certified themselves; a fake CA may take them for an operator."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST stranger")])
    certificate = _certificate(key, name, key, clock.SystemClock().now())
    return Operator("TEST-stranger", role, key, certificate)


def record(
    sessions: orm.sessionmaker[orm.Session],
    operator: Operator,
    authority: hierarchy_support.Holder,
    at: datetime.datetime,
) -> None:
    """Put an operator straight into a database that no CA has written."""
    serial = registry.serial_key(operator.certificate.serial_number)
    with sessions() as session:
        registry.add_issuer(
            session,
            registry.IssuerRecord(
                hierarchies.INFRASTRUCTURE, authority.certificate, hierarchies.ROOT, "x"
            ),
        )
        session.add(
            registry.CertificateRow(
                issuer_name=hierarchies.INFRASTRUCTURE,
                serial_number=serial,
                state=registry.CertificateState.ISSUED.value,
                profile=profiles.OPERATOR.name,
                request_key=f"test/{operator.name}",
                key_sha256=certificates.sha256(operator.certificate),
                subject="TEST",
                not_before=operator.certificate.not_valid_before_utc,
                not_after=operator.certificate.not_valid_after_utc,
                to_be_signed_der=operator.certificate.tbs_certificate_bytes,
                certificate_der=certificates.to_der(operator.certificate),
                recorded_at=at,
                issued_at=at,
            )
        )
        session.add(
            tables.OperatorRow(
                key=operator.name.lower(),
                name=operator.name,
                role=operator.role.value,
                state=register.State.ACTIVE.value,
                added_at=at,
                added_by=register.LOCAL,
            )
        )
        session.flush()
        session.add(
            tables.OperatorCertificateRow(
                sha256=certificates.sha256(operator.certificate),
                operator_key=operator.name.lower(),
                serial_number=serial,
            )
        )
        session.commit()


@contextlib.contextmanager
def calling(
    base_url: str, *operators: Operator, present: clock.Clock | None = None
) -> Iterator[signed_requests.SignedSender]:
    """What sends requests signed by these operators, each call by the one it is for."""
    by_role = {one.role: one.credential for one in operators}
    with contextlib.closing(outbound.Client(timeout_s=90)) as client:
        yield signed_requests.SignedSender(
            client,
            base_url,
            lambda role: by_role.get(role) or operators[0].credential,
            present or clock.SystemClock(),
        )


@contextlib.contextmanager
def registrar(
    base_url: str, *operators: Operator
) -> Iterator[registration_calls.RegistrationClient]:
    """A registration client that is these operators; a stranger where none is named."""
    with calling(base_url, *(operators or (stranger(),))) as sender:
        yield registration_calls.RegistrationClient(sender)


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: Any,
    at: datetime.datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST operator")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(hours=1))
        .not_valid_after(at + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .sign(issuer_key, hashes.SHA384())
    )
