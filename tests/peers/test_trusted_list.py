"""Our trusted list before ETSI's schemas, xmlsec1, pyHanko and libdigidocpp."""

import datetime
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import sqlalchemy

from ca.trusted_list import enveloped, scheme
from pki import certificates, clock, database, xades_elements
from tests.support import signing_desk, trusted_lists

pytestmark = pytest.mark.peer

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "schemas"
DAY = datetime.timedelta(days=1)

READ_WITH_LIBDIGIDOCPP = """
import os, pathlib, sys
import pydigidoc

cache, url, certificate, log = sys.argv[1:]
conf = pydigidoc.DigiDocConf(cache)
conf.set_log_level(4)
conf.set_log_file(log)
conf.set_tslurl(url)
conf.set_tslcert(pathlib.Path(certificate).read_bytes())
conf.set_tslonline_digest(False)
# The library owns the configuration from here on; freed twice, the process dies.
conf.transfer()
pydigidoc.Conf.init(conf)
pydigidoc.initialize_lib("test", cache)
os._exit(0)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> trusted_lists.ListWorld:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    return trusted_lists.make_world_in(engine, clock.whole_seconds(clock.SystemClock().now()))


@pytest.fixture
def lists(world: trusted_lists.ListWorld, tmp_path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Every variant as a file, by its name."""
    found = {}
    for one in world.publisher.publish(world.ca.at, actor="test"):
        found[one.name] = tmp_path / f"{one.name}.xml"
        found[one.name].write_bytes(one.list_xml)
    return found


def validate(schema: str, path: pathlib.Path) -> subprocess.CompletedProcess[bytes]:
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    return subprocess.run(
        ["xmllint", "--nonet", "--noout", "--schema", str(SCHEMAS / schema), str(path)],
        env={**os.environ, "XML_CATALOG_FILES": str(SCHEMAS / "catalog.xml")},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.clause("TS 119 612", "annex C")
@pytest.mark.parametrize("schema", ["ts_119612v020401_xsd.xsd", "ts_119612v020201_201601xsd.xsd"])
def test_every_variant_is_valid_against_the_schema(
    lists: dict[str, pathlib.Path], schema: str
) -> None:
    for path in lists.values():
        answer = validate(schema, path)
        assert answer.returncode == 0, answer.stderr.decode()


def test_a_list_with_history_is_valid_against_the_schema(
    tmp_path: pathlib.Path, at: datetime.datetime
) -> None:
    from ca import revocation
    from pki import status

    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    world = trusted_lists.make_world_in(engine, at)
    world.publish()
    authority = world.ca.hierarchy.authorities["business"].certificate
    with world.ca.sessions() as session:
        revocation.revoke(
            session,
            authority.serial_number,
            status.RevocationReason.cessationOfOperation,
            at + DAY,
            actor="test",
        )
        session.commit()
    path = tmp_path / "az.xml"
    path.write_bytes(world.publish(at + 2 * DAY).list_xml)
    assert b"ServiceHistoryInstance" in path.read_bytes()
    answer = validate("ts_119612v020401_xsd.xsd", path)
    assert answer.returncode == 0, answer.stderr.decode()
    engine.dispose()


def test_pkilint_finds_nothing_in_the_signers_certificate(
    world: trusted_lists.ListWorld, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "signer.pem"
    path.write_text(certificates.to_pem(world.signer))
    program = pathlib.Path(sys.executable).parent / "lint_pkix_cert"
    done = subprocess.run(
        [str(program), "lint", "-s", "WARNING", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_xmlsec1_accepts_the_list_and_refuses_a_changed_one(
    world: trusted_lists.ListWorld, lists: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    program = shutil.which("xmlsec1")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("xmlsec1 is missing")
        pytest.skip("xmlsec1 is missing: apt install xmlsec1")
    root, infrastructure = tmp_path / "root.pem", tmp_path / "infrastructure.pem"
    root.write_text(certificates.to_pem(world.root))
    infrastructure.write_text(certificates.to_pem(world.infrastructure))

    def verify(path: pathlib.Path) -> int:
        return subprocess.run(
            [
                *(program, "--verify", "--enabled-key-data", "x509"),
                *("--trusted-pem", str(root), "--untrusted-pem", str(infrastructure)),
                *("--id-attr:Id", f"{xades_elements.XADES}:SignedProperties", str(path)),
            ],
            capture_output=True,
            timeout=60,
            check=False,
        ).returncode

    for path in lists.values():
        assert verify(path) == 0
        changed = tmp_path / f"changed-{path.name}"
        changed.write_bytes(path.read_bytes().replace(b"AZ1000", b"AZ1001", 1))
        assert verify(changed) != 0


def test_pyhanko_reads_the_services_and_refuses_a_changed_list_and_another_signer(
    world: trusted_lists.ListWorld, lists: dict[str, pathlib.Path]
) -> None:
    from pyhanko.sign.validation import errors
    from pyhanko.sign.validation.qualified import eutl_parse, tsp

    signer = certificates.to_asn1(world.signer)
    for path in lists.values():
        text = path.read_text(encoding="utf-8")
        registry, faults = eutl_parse.trust_list_to_registry(text, [signer])
        assert faults == []
        names = set()
        for name in ("citizen", "business", "official"):
            authority = world.ca.hierarchy.authorities[name].certificate
            (found,) = registry.applicable_service_definitions(
                tsp.AuthorityWithCert(certificates.to_asn1(authority)), world.ca.at
            )
            names.add(found.base_info.service_name)
        assert names == {f"TEST AZ {name} CA" for name in ("Citizen", "Business", "Official")}
        changed = text.replace("granted", "gRanted", 1)
        with pytest.raises(errors.SignatureValidationError):
            eutl_parse.trust_list_to_registry(changed, [signer])
        other = certificates.to_asn1(world.infrastructure)
        with pytest.raises(errors.SignatureValidationError):
            eutl_parse.trust_list_to_registry(text, [other])


class Libdigidocpp:
    """Reads lists in a process of its own: the library has one configuration for ever."""

    def __init__(self, folder: pathlib.Path) -> None:
        pydigidoc = signing_desk.libdigidocpp()
        if not SCHEMAS.is_dir():
            pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
        self.cache = folder / "cache"
        # One folder holds the library's schemas and its lists.
        shutil.copytree(pathlib.Path(pydigidoc.__file__).parent / "schema", self.cache)
        for one in (*SCHEMAS.glob("ts_119612*.xsd"), SCHEMAS / "xml.xsd"):
            shutil.copy(one, self.cache)
        self.folder = folder

    def log_of(self, list_xml: bytes, signer: certificates.x509.Certificate) -> str:
        (self.cache / "list.xml").write_bytes(list_xml)
        certificate, log = self.folder / "signer.der", self.folder / "log"
        certificate.write_bytes(certificates.to_der(signer))
        log.unlink(missing_ok=True)
        subprocess.run(
            [
                *(sys.executable, "-c", READ_WITH_LIBDIGIDOCPP, str(self.cache)),
                *("http://127.0.0.1:1/list.xml", str(certificate), str(log)),
            ],
            env={**os.environ, "HOME": str(self.folder)},
            capture_output=True,
            timeout=60,
            check=True,
        )
        return log.read_text(encoding="utf-8")


@pytest.fixture
def libdigidocpp(tmp_path: pathlib.Path) -> Libdigidocpp:
    return Libdigidocpp(tmp_path)


def test_libdigidocpp_loads_the_generic_variant(
    world: trusted_lists.ListWorld, lists: dict[str, pathlib.Path], libdigidocpp: Libdigidocpp
) -> None:
    log = libdigidocpp.log_of(lists["az-eugeneric"].read_bytes(), world.signer)
    assert "signature is valid" in log
    assert "Loaded 7 certificates" in log


def test_libdigidocpp_loads_nothing_from_a_list_that_is_not_right(
    world: trusted_lists.ListWorld, lists: dict[str, pathlib.Path], libdigidocpp: Libdigidocpp
) -> None:
    right = lists["az-eugeneric"].read_bytes()
    generic = scheme.EU_GENERIC.encode()
    wrong = {
        "changed": (right.replace(b"AZ1000", b"AZ1001", 1), world.signer),
        "another signer": (right, world.infrastructure),
        "a type it does not know": (lists["az"].read_bytes(), world.signer),
        "expired": (_expired(world), world.signer),
    }
    assert generic in wrong["expired"][0]
    for name, (list_xml, signer) in wrong.items():
        log = libdigidocpp.log_of(list_xml, signer)
        assert "Loaded 0 certificates" in log, f"{name}: {log}"


def _expired(world: trusted_lists.ListWorld) -> bytes:
    past = world.ca.at - 40 * DAY
    root = world.unsigned(issued_at=past, next_update=past + DAY)
    kind = next(one for one in root.iter() if str(one.tag).endswith("}TSLType"))
    kind.text = scheme.EU_GENERIC
    return enveloped.sign(root, world.signer, world.ca.keys.open_key("tl-signer"), world.ca.at)
