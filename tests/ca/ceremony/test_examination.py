"""A transcript is refused whatever was changed, by whomever, even by who holds the root's key."""

import copy
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ca.ceremony import detached_signature, examination, performance, script, transcript
from pki import certificates, clock, database, errors, profiles
from pki.certificates import CertificateSignatureError
from tests.support import ceremonies
from tests.support.hierarchy import make_hierarchy

FOUNDING = pathlib.Path("docs/examples/ceremony.yaml").read_bytes()

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Played:
    room: ceremonies.CeremonyRoom
    content: bytes
    signature_der: bytes

    def examine(self, content: bytes, signature_der: bytes) -> examination.Examination:
        return examination.examine(content, signature_der, self.room.root())

    def examine_forged(self, record: Record) -> examination.Examination:
        """Examine what somebody with the root's key would make of a changed transcript."""
        content = json.dumps(record).encode()
        closed = transcript.parse_time(json.loads(self.content)["closed_at"])
        forged = ceremonies.sign_as_the_root_would(self.room, content, at=closed)
        return self.examine(content, forged)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One ceremony; whoever examines its transcript has no database."""
    folder = tmp_path_factory.mktemp("ceremony")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = clock.whole_seconds(clock.SystemClock().now())
    room = ceremonies.make_room(database.session_factory(engine), at)
    signed = performance.play(room.stage, script.read(FOUNDING))
    yield Played(room, signed.content, signed.signature_der)
    engine.dispose()


def _step(record: Record, action: str, number: int = 0) -> Record:
    found: Record = [one for one in record["steps"] if one["action"] == action][number]
    return found


def _swap_steps(record: Record) -> None:
    steps = record["steps"]
    steps[2], steps[3] = steps[3], steps[2]


def _swap_certificates(record: Record) -> None:
    first, second = (_step(record, "certify-authority", one) for one in (0, 1))
    first["certificates"], second["certificates"] = second["certificates"], first["certificates"]


def _other_key(record: Record) -> None:
    first, second = (_step(record, "generate-key", one) for one in (1, 2))
    for name in ("public_key", "public_key_sha256"):
        first["keys"][0][name] = second["keys"][0][name]


def _later_script(record: Record) -> None:
    record["script"]["text"] += "\n"


def _script_of_fewer_confirmations(record: Record) -> None:
    _step(record, "certify-root")["confirmations"].pop()


FORGERIES: dict[str, Callable[[Record], object]] = {
    "a step left out": lambda r: r["steps"].pop(3),
    "the last step left out": lambda r: r["steps"].pop(),
    "steps swapped": _swap_steps,
    "a step twice": lambda r: r["steps"].append(r["steps"][-1]),
    "certificates swapped": _swap_certificates,
    "a certificate of another hash": lambda r: _step(r, "certify-authority")["certificates"][
        0
    ].update(sha256="0" * 64),
    "a certificate under another name": lambda r: _step(r, "certify-authority")["certificates"][
        0
    ].update(name="business"),
    "a certificate left out": lambda r: _step(r, "certify-authority")["certificates"].clear(),
    "a key left out": lambda r: _step(r, "certify-authority")["keys"].clear(),
    "another key": _other_key,
    "a key of another kind": lambda r: _step(r, "generate-key")["keys"][0].update(kind="P-256"),
    "a key of another label": lambda r: _step(r, "generate-key")["keys"][0].update(label="x"),
    "a key said to be better later": lambda r: _step(r, "certify-root")["keys"][0].update(
        extractable=False
    ),
    "a CRL of another number": lambda r: _step(r, "publish-crl")["crls"][0].update(number=2),
    "a CRL of another issuer": lambda r: _step(r, "publish-crl").update(
        crls=_step(r, "publish-crl", 1)["crls"]
    ),
    "a CRL left out": lambda r: _step(r, "publish-crl")["crls"].clear(),
    "another script": _later_script,
    "a confirmation left out": _script_of_fewer_confirmations,
    "another witness": lambda r: _step(r, "certify-root")["confirmations"][0].update(
        witness="somebody"
    ),
    "the closing left out": lambda r: r["closing"].clear(),
    "times out of order": lambda r: r["steps"][4].update(begun_at=r["opened_at"]),
    "a later opening": lambda r: r.update(opened_at=r["closed_at"]),
    "another root": lambda r: r.update(root_sha256="0" * 64),
    "a real installation's": lambda r: r.update(test=False),
    "an unknown outcome": lambda r: r.update(outcome="fine"),
    "stopped for no reason": lambda r: r.update(outcome="stopped"),
    "completed for a reason": lambda r: r.update(reason="none"),
    "a log that did not grow": lambda r: r.update(audit_closed=r["audit_opened"]),
    "another format": lambda r: r.update(format="imza-key-ceremony-2"),
    "an unknown field": lambda r: r.update(colour="red"),
    "an authority that was there already": lambda r: r["present"].append(
        _step(r, "certify-authority")["certificates"][0]
    ),
    "another service's certificate": lambda r: _step(r, "certify-trusted-list-signer").update(
        certificates=_step(r, "certify-cmp-signer")["certificates"]
    ),
    "a signer by the root": lambda r: _step(r, "certify-cmp-signer")["certificates"][0].update(
        issuer="root"
    ),
    "a step made at another time": lambda r: _step(r, "certify-authority").update(
        begun_at=_step(r, "certify-authority")["done_at"]
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_transcript_that_does_not_hold_together_is_refused_even_when_signed(
    played: Played, name: str
) -> None:
    record = json.loads(played.content)
    assert played.examine_forged(copy.deepcopy(record)).transcript.outcome == "completed"
    FORGERIES[name](record)
    with pytest.raises(errors.InputError):
        played.examine_forged(record)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_altered_byte_of_transcript_or_signature_is_refused(
    played: Played, data: st.DataObject
) -> None:
    parts = [bytearray(played.content), bytearray(played.signature_der)]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.InputError):
        played.examine(bytes(parts[0]), bytes(parts[1]))


@pytest.mark.parametrize("extra", [b"\0", b"\n", b" "])
def test_bytes_that_are_added_are_refused(played: Played, extra: bytes) -> None:
    for content, signature_der in (
        (played.content + extra, played.signature_der),
        (played.content, played.signature_der + extra),
    ):
        with pytest.raises(errors.InputError):
            played.examine(content, signature_der)


def test_a_transcript_of_another_root_is_refused(played: Played, at: datetime.datetime) -> None:
    other = make_hierarchy(at).root.certificate
    with pytest.raises(CertificateSignatureError):
        examination.examine(played.content, played.signature_der, other)


def test_only_a_certificate_for_transcripts_signs_one(played: Played) -> None:
    closed = transcript.parse_time(json.loads(played.content)["closed_at"])
    room = played.room
    forged = ceremonies.sign_as_the_root_would(
        room, played.content, profiles.TIME_STAMPING_UNIT, closed
    )
    with pytest.raises(transcript.TranscriptError, match="not one for transcripts"):
        played.examine(played.content, forged)
    late = ceremonies.sign_as_the_root_would(
        room, played.content, at=closed + datetime.timedelta(hours=1)
    )
    with pytest.raises(transcript.TranscriptError, match="when the ceremony closed"):
        played.examine(played.content, late)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_transcript_and_no_signature(content: bytes) -> None:
    with pytest.raises(transcript.TranscriptError):
        transcript.read(content)
    with pytest.raises(detached_signature.DetachedSignatureError):
        detached_signature.check(b"a document", content)


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a": 1, "a": 2}', b"null", b"\xff", b"1" * 5000, b'{"format": NaN}'],
)
def test_hostile_json_is_an_input_error(content: bytes) -> None:
    with pytest.raises(transcript.TranscriptError):
        transcript.read(content)


def test_the_signers_certificate_is_certified_by_the_root_for_one_day(played: Played) -> None:
    signer = detached_signature.check(played.content, played.signature_der)
    certificates.check_issued_by(signer, played.room.root())
    lasting = signer.not_valid_after_utc - signer.not_valid_before_utc
    assert lasting < datetime.timedelta(days=1)
