"""openssl on the CA's chains and CRLs."""

import datetime
import pathlib
import re
import subprocess

import pytest

from ca import revocation
from ca.crls import published
from pki import certificates, database, registration, registry, status
from tests.support import ca_world, crls

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ca_world.World:
    folder = tmp_path_factory.mktemp("ca")
    engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    from pki import clock

    at = clock.whole_seconds(clock.SystemClock().now()) - datetime.timedelta(minutes=1)
    return ca_world.make_world(database.session_factory(engine), at)


def _openssl(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["openssl", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _pem(path: pathlib.Path, *ders: bytes) -> str:
    path.write_text("".join(certificates.to_pem(certificates.parse(one)) for one in ders))
    return str(path)


def _files(world: ca_world.World, tmp_path: pathlib.Path) -> tuple[str, str]:
    authorities = world.hierarchy.authorities
    root = _pem(tmp_path / "root.pem", authorities["root"].chain_der[0])
    others = [one.chain_der[0] for name, one in authorities.items() if name != "root"]
    return root, _pem(tmp_path / "cas.pem", *others)


@pytest.mark.parametrize(
    ("person", "category"),
    [
        (ca_world.CITIZEN, registration.Category.CITIZEN),
        (ca_world.GEORGIAN, registration.Category.BUSINESS),
    ],
)
def test_a_persons_chain_verifies_strictly(
    world: ca_world.World,
    tmp_path: pathlib.Path,
    person: registration.Person,
    category: registration.Category,
) -> None:
    root, cas = _files(world, tmp_path)
    issued = world.certify(world.application(person, category))
    leaf = _pem(tmp_path / "leaf.pem", issued.certificate_der)
    code, text = _openssl(
        "verify", "-x509_strict", "-CAfile", root, "-untrusted", cas, "-check_ss_sig", leaf
    )
    assert code == 0, text
    shown = _openssl("x509", "-in", leaf, "-noout", "-subject", "-nameopt", "utf8")[1]
    assert person.given_name in shown
    assert person.surname in shown


@pytest.mark.parametrize(
    ("profile", "purpose"),
    [("time-stamping-unit", "timestampsign"), ("ocsp-responder", "ocsphelper")],
)
def test_services_verify_for_their_purpose(
    world: ca_world.World, tmp_path: pathlib.Path, profile: str, purpose: str
) -> None:
    root, cas = _files(world, tmp_path)
    with world.sessions() as session:
        record = registry.current_certificate(session, profile, world.at)
    assert record is not None
    assert record.certificate_der is not None
    leaf = _pem(tmp_path / "leaf.pem", record.certificate_der)
    code, text = _openssl(
        "verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, "-untrusted", cas, leaf
    )
    assert code == 0, text


def test_a_revoked_certificate_fails_by_its_crl_and_others_pass(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    root, cas = _files(world, tmp_path)
    good = world.certify(world.application())
    bad = world.certify(world.application())
    with world.sessions() as session:
        revocation.revoke(
            session,
            bad.record.serial_number,
            status.RevocationReason.keyCompromise,
            world.at,
            actor="test",
        )
        session.commit()
    lists = []
    for name in ("citizen", "root"):
        made = crls.publish(world, name=name)
        der = tmp_path / f"{name}.crl"
        with world.sessions() as session:
            der.write_bytes(published.content(session, made))
        code, text = _openssl("crl", "-in", str(der), "-inform", "DER", "-noout", "-text")
        assert code == 0, text
        found = re.search(r"CRL Number:\s*(\d+)", text)
        assert found is not None
        assert int(found[1]) == made.number
        pem = tmp_path / f"{name}.crl.pem"
        assert _openssl("crl", "-in", str(der), "-inform", "DER", "-out", str(pem))[0] == 0
        lists += ["-CRLfile", str(pem)]
    for issued, expected in ((good, 0), (bad, 2)):
        leaf = _pem(tmp_path / "leaf.pem", issued.certificate_der)
        code, text = _openssl(
            "verify",
            "-crl_check_all",
            "-x509_strict",
            *lists,
            "-CAfile",
            root,
            "-untrusted",
            cas,
            leaf,
        )
        assert code == expected, text
        assert ("certificate revoked" in text) == (expected != 0)
