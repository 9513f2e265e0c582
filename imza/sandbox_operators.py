"""The operators of a sandbox: TEST people whose keys lie in files that their owner alone reads."""

import dataclasses
import json
import pathlib

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.operators import roles
from imza import config as configs
from imza.wiring import operators as adding
from imza.wiring.resources import Resources
from pki import certificates, durable_files

FILE_NAME = "operators.json"

OPERATORS = (
    ("TEST-officer-1", roles.Role.RA_OFFICER),
    ("TEST-officer-2", roles.Role.RA_OFFICER),
    ("TEST-approver-1", roles.Role.APPROVER),
    ("TEST-approver-2", roles.Role.APPROVER),
    ("TEST-administrator-1", roles.Role.CA_ADMINISTRATOR),
    ("TEST-administrator-2", roles.Role.CA_ADMINISTRATOR),
    ("TEST-auditor", roles.Role.AUDITOR),
)
"""Two wherever one could want a second: to take over, to approve, to confirm."""


@dataclasses.dataclass(frozen=True)
class Described:
    """An operator as `sandbox.json` names them."""

    name: str
    role: str
    credential: str


def enrol(
    resources: Resources, config: configs.Config, folder: pathlib.Path, server: str
) -> tuple[Described, ...]:
    """Add the operators who are missing, and write a credentials file for each.

    `FILE_NAME` in the folder names them all, as `sandbox.json` does.

    Args:
        resources: Holds what is opened.
        config: The CA zone's settings.
        folder: `DIR/operators`.
        server: The CA zone's base address.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    wanted = [
        adding.Wanted(name, role, make_request(_key(folder / f"{name}.key")))
        for name, role in OPERATORS
    ]
    described = tuple(
        _describe(folder, server, one.operator.name, one.operator.role, one.certificate_der)
        for one in adding.add(resources, config, wanted)
    )
    content = {"base_url": server, "operators": [dataclasses.asdict(one) for one in described]}
    durable_files.replace(folder / FILE_NAME, json.dumps(content, indent=2).encode())
    return described


def make_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A PKCS#10 request in DER; the CA decides what stands in the certificate."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _key(path: pathlib.Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        kept = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(kept, ec.EllipticCurvePrivateKey):
            raise TypeError(f"expected an EC key in {path}")
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    durable_files.replace(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return key


def _describe(
    folder: pathlib.Path, server: str, name: str, role: roles.Role, certificate_der: bytes
) -> Described:
    certificate, file = folder / f"{name}.pem", folder / f"{name}.toml"
    durable_files.replace(
        certificate, certificates.to_pem(certificates.parse(certificate_der)).encode("ascii")
    )
    content = {"certificate": certificate.name, "key": f"{name}.key", "server": server}
    durable_files.replace(file, tomli_w.dumps(content).encode())
    return Described(name, role.value, str(file))
