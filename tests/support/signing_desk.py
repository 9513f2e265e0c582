"""A citizen who signs with the real service against peers on loopback, and other programs."""

import contextlib
import dataclasses
import datetime
import importlib
import os
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy

from pki import database
from signing_service import documents, parameters, trust
from signing_service import service as service_module
from signing_service.signing import flow, sealing, sessions
from signing_service.validation import policy, process
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "schemas"
PORTAL = "portal"


@dataclasses.dataclass
class Desk:
    """A world, a service and a folder."""

    world: signing_world.World
    service: service_module.SigningService
    folder: pathlib.Path

    @property
    def at(self) -> datetime.datetime:
        return self.world.clock.now()

    @property
    def root(self) -> pathlib.Path:
        path = self.folder / "root.pem"
        path.write_bytes(self.world.authorities.root.pem)
        return path

    def sign(
        self,
        sources: Sequence[pathlib.Path],
        format: documents.SignatureFormat,
        level: documents.SignatureLevel,
        signer: hierarchy_support.Holder | None = None,
        *,
        digests: Sequence[documents.DocumentDigest] = (),
        seal: sealing.Seal | None = None,
        **chosen: object,
    ) -> pathlib.Path:
        """Sign in two phases, through sessions, and return where the signed document is.

        A seal signs in one call.
        """
        signer = signer or self.world.authorities.signer()
        files = [documents.Document(one.name, one) for one in sources]
        opening = flow.Opening(
            PORTAL,
            files[0] if files else None,
            parameters.SignatureParameters(format, level, **chosen),  # type: ignore[arg-type]
            further=tuple(files[1:]),
            digests=tuple(digests),
        )
        if seal is not None:
            done = sealing.seal_document(self.service, seal, opening, self.at)
        else:
            row = flow.open_session(self.service, opening, signer.certificate, self.at)
            value = signer.handle.sign(row.representation)
            done = flow.complete_session(self.service, row.id, PORTAL, value, self.at)
        assert done.state is sessions.SessionState.COMPLETED, done.error_message
        signed = flow.signed_document(self.service, done.id, PORTAL, self.at).document
        target = self.folder / f"{done.id}-{signed.name}"
        shutil.copyfile(signed.path, target)
        return target

    def judge(self, signed: pathlib.Path, detached: Sequence[pathlib.Path] = ()) -> dict[str, Any]:
        """What our own validator says, with the root alone and nothing fetched."""
        return process.judge(
            documents.Document(signed.name, signed),
            trust=trust.TrustAnchors((self.world.authorities.root.certificate,)),
            at=self.at + datetime.timedelta(minutes=1),
            detached=[documents.Document(one.name, one) for one in detached],
            rules=policy.DEFAULT,
            fetched=None,
        ).report.to_json()


@contextlib.contextmanager
def open_desk(folder: pathlib.Path, at: datetime.datetime) -> Iterator[Desk]:
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/desk.sqlite")
    database.Base.metadata.create_all(engine)
    with signing_world.make_world(at) as world:
        yield Desk(world, world.service(engine, folder / "store"), folder)
    engine.dispose()


def libdigidocpp() -> Any:
    """The library's Python module; where there is none a skip, and in CI only if none is made."""
    if os.environ.get("CI") and platform.machine() == "x86_64":
        return importlib.import_module("pydigidoc")
    return pytest.importorskip("pydigidoc", reason="pip install pydigidoc")


def program(name: str) -> str:
    """Where a program is; without it a test is skipped, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is missing")
    return found


def run(*command: str, folder: pathlib.Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=folder)


def check_schema(schema: str, path: pathlib.Path) -> None:
    """Validate a file against one of ETSI's schemas with xmllint."""
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    answer = subprocess.run(
        ["xmllint", "--nonet", "--noout", "--schema", str(SCHEMAS / schema), str(path)],
        env={**os.environ, "XML_CATALOG_FILES": str(SCHEMAS / "catalog.xml")},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr.decode()
