"""Our containers in libdigidocpp, DigiDoc's own library, with our trusted list and nothing else."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator

import pytest

from imza import people
from pki import certificates
from tests.support import signing_desk
from tests.support import world as worlds

pytestmark = [pytest.mark.peer, pytest.mark.slow]

READ = """
import json, os, pathlib, sys
import pydigidoc

cache, certificate, *containers = sys.argv[1:]
conf = pydigidoc.DigiDocConf(cache)
conf.set_tslurl("http://127.0.0.1:1/list.xml")
conf.set_tslcert(pathlib.Path(certificate).read_bytes())
conf.set_tslonline_digest(False)
# The library owns the configuration from here on; freed twice, the process dies.
conf.transfer()
pydigidoc.Conf.init(conf)
pydigidoc.initialize_lib("test", cache)
found = {}
for path in containers:
    try:
        container = pydigidoc.Container.open(path)
    except Exception as error:
        found[path] = [["unreadable", str(error)]]
        continue
    found[path] = []
    for one in container.signatures():
        try:
            one.validate()
            found[path].append([one.profile(), "VALID"])
        except Exception as error:
            found[path].append([one.profile(), str(error)])
print(json.dumps(found), flush=True)
os._exit(0)
"""

CREATE = """
import os, sys
import pydigidoc

target, *files = sys.argv[1:]
pydigidoc.initialize()
container = pydigidoc.Container.create(target)
for one in files:
    container.add_data_file(one, "text/plain")
container.save()
os._exit(0)
"""

SIGN = """
import os, pathlib, subprocess, sys
import pydigidoc

cache, certificate, time_stamps, module, target, *files = sys.argv[1:]
conf = pydigidoc.DigiDocConf(cache)
conf.set_tslurl("http://127.0.0.1:1/list.xml")
conf.set_tslcert(pathlib.Path(certificate).read_bytes())
conf.set_tslonline_digest(False)
conf.set_tsurl(time_stamps)
conf.transfer()
pydigidoc.Conf.init(conf)
pydigidoc.initialize_lib("test", cache)
card = ["pkcs11-tool", "--module", module, "--slot-index", "0", "--id", "02"]
folder = pathlib.Path(target).parent
subprocess.run([*card, "--read-object", "--type", "cert", "-o", folder / "card.der"], check=True)
signer = pydigidoc.ExternalSigner((folder / "card.der").read_bytes())
signer.set_profile("time-stamp")
container = pydigidoc.Container.create(target)
for one in files:
    container.add_data_file(one, "text/plain")
signature = container.prepare_signature(signer)
(folder / "hash").write_bytes(signature.data_to_sign())
subprocess.run(
    [*card, "--sign", "--mechanism", "ECDSA", "--login", "--pin", "env:PIN",
     "--signature-format", "rs", "-i", folder / "hash", "-o", folder / "value"],
    check=True,
)
signature.set_signature_value((folder / "value").read_bytes())
signature.extend_signature_profile("time-stamp")
container.save()
signature.validate()
print(signature.profile(), flush=True)
os._exit(0)
"""

LT, LTA = "BES/time-stamp", "BES/time-stamp-archive"


@dataclasses.dataclass
class Bench:
    """A sandbox, and libdigidocpp beside it, in a process of its own each time."""

    world: worlds.World
    folder: pathlib.Path

    def sign(self, source: pathlib.Path, level: str, name: str) -> pathlib.Path:
        person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
        target = self.folder / name
        self.world.imza(
            "sign", str(source), "--format", "asice", "--level", level, "--phone",
            str(person.phone_number), "--person", person.person_code, *self.world.service,
            "-o", str(target),
        )  # fmt: skip
        return target

    def validate(self, *paths: pathlib.Path) -> list[list[list[str]]]:
        """Kind and verdict of each signature of each container."""
        done = self._run(READ, str(self.folder / "cache"), str(self.folder / "signer.der"),
                         *map(str, paths))  # fmt: skip
        found = json.loads(done.splitlines()[-1])
        return [found[str(path)] for path in paths]

    def create(self, target: pathlib.Path, *files: pathlib.Path) -> pathlib.Path:
        self._run(CREATE, str(target), *map(str, files))
        return target

    def sign_by_card(self, target: pathlib.Path, *files: pathlib.Path) -> str:
        """The library's own signature: only the value comes from the card, through OpenSC."""
        told = self.world.description
        return self._run(
            SIGN, str(self.folder / "cache"), str(self.folder / "signer.der"),
            f"{told['base_url']}/tsa", told["pkcs11_module"], str(target), *map(str, files),
            PCSCLITE_CSOCK_NAME=told["pcscd"]["socket"], PIN=told["cards"][0]["pin1"],
        )  # fmt: skip

    def _run(self, code: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120,
            check=False, env={**os.environ, "HOME": str(self.folder), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    pydigidoc = signing_desk.libdigidocpp()
    if not signing_desk.SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    folder = tmp_path_factory.mktemp("digidoc")
    # One folder holds the library's schemas and its lists.
    cache = folder / "cache"
    shutil.copytree(pathlib.Path(pydigidoc.__file__).parent / "schema", cache)
    for one in (*signing_desk.SCHEMAS.glob("ts_119612*.xsd"), signing_desk.SCHEMAS / "xml.xsd"):
        shutil.copy(one, cache)
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as place,
        worlds.sandbox(pathlib.Path(place) / "w") as world,
    ):
        world.imza("ca", "trusted-list", "write", "az-eugeneric", "-o", str(cache / "list.xml"),
                   "--credentials", str(world.folder / "sandbox.json"))  # fmt: skip
        pem = pathlib.Path(world.description["trusted_list_signer_pem"]).read_bytes()
        signer = certificates.x509.load_pem_x509_certificate(pem)
        (folder / "signer.der").write_bytes(certificates.to_der(signer))
        yield Bench(world, folder)


@pytest.mark.clause("EN 319 132-1", "5.5.2")
def test_containers_with_long_term_signatures_are_valid(bench: Bench) -> None:
    text = bench.folder / "müqavilə.txt"
    text.write_text("ხელშეკრულება TEST", "utf-8")
    lt, lta = bench.sign(text, "B-LT", "lt.asice"), bench.sign(text, "B-LTA", "lta.asice")
    assert bench.validate(lt, lta) == [[[LT, "VALID"]], [[LTA, "VALID"]]]

    changed = bench.folder / "changed.asice"
    with zipfile.ZipFile(lta) as old, zipfile.ZipFile(changed, "w") as new:
        for one in old.infolist():
            content = old.read(one)
            new.writestr(one, content + b"!" if one.filename == text.name else content)
    ((kind, verdict),) = bench.validate(changed)[0]
    assert (kind, verdict == "VALID") == (LTA, False)


def test_further_signatures_are_valid_in_the_librarys_own_container(bench: Bench) -> None:
    texts = [bench.folder / "a.txt", bench.folder / "ə b.txt"]
    for one in texts:
        one.write_text(f"TEST {one.name}", "utf-8")
    empty = bench.create(bench.folder / "theirs.asice", *texts)
    once = bench.sign(empty, "B-LT", "once.asice")
    twice = bench.sign(once, "B-LTA", "twice.asice")
    assert bench.validate(once, twice) == [
        [[LT, "VALID"]],
        [[LT, "VALID"], [LTA, "VALID"]],
    ]
    report = bench.world.verify(twice)
    assert [one["scope"]["kind"] for one in report["signatures"]] == ["full", "full"]


def test_the_librarys_own_signature_by_a_card_is_valid_here(bench: Bench) -> None:
    texts = [bench.folder / "a.txt", bench.folder / "ə b.txt"]
    for one in texts:
        one.write_text(f"TEST {one.name}", "utf-8")
    container = bench.folder / "their-signature.asice"
    assert LT in bench.sign_by_card(container, *texts).split()
    report = bench.world.verify(container)
    (signature,) = report["signatures"]
    assert report["overall"] == "TOTAL-PASSED"
    assert signature["level"] == "XAdES-BASELINE-LT"
    assert signature["person_code"] == bench.world.description["cards"][0]["person_code"]
    assert signature["scope"] == {"kind": "full", "names": [one.name for one in texts]}
