"""Send mutated messages to whatever reads what strangers send, and count what it answers.

    python -m tests.support.fuzzing csr --inputs 200000

Every input has to end in an answer or an error of ours, in bounded time and memory; anything else
ends the run with the input in hexadecimal. The same seed gives the same inputs to the same
samples; samples hold keys that are made anew for each run.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import dataclasses
import pathlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp as x509_ocsp
from starlette import types as starlette_types

from ca import csr
from ca.enrolment import messages as cmp_messages
from ocsp import api as ocsp_api
from ocsp import responder, responder_key
from pki import algorithms, clock, database, der, errors, status
from tests.support import ca_world, cmp_office, status_answers
from tests.support import hierarchy as hierarchy_support
from tsa import api as tsa_api
from tsa import authority as tsa_authority
from tsa import messages as tsa_messages

SEED = 20260131

SLOWEST_S = 2.0
"""An input of a few kilobytes that takes longer is an attack; the machine may be busy."""

SLOWEST_CPU_S = 0.05
"""What no message to an endpoint may take of a processor."""

MAX_ANSWER_BYTES = 2**20

MAX_GROWTH_KIB = 300 * 1024
"""How much memory a run may take more than at its beginning."""

Target = Callable[[bytes], str]
"""Reads an input and says in a word what came of it; raises `InputError` or nothing."""


class UnexpectedError(AssertionError):
    """An input led to something that is neither an answer nor an error of ours."""


@dataclasses.dataclass
class Report:
    """What a run found."""

    inputs: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_cpu_s: float = 0.0
    slowest_bytes: int = 0
    growth_kib: int = 0
    outcomes: "collections.Counter[str]" = dataclasses.field(default_factory=collections.Counter)

    def __str__(self) -> str:
        lines = [
            f"{self.inputs} inputs in {self.seconds:.0f} s",
            f"slowest {self.slowest_s * 1000:.1f} ms ({self.slowest_bytes} bytes),"
            f" most of a processor {self.slowest_cpu_s * 1000:.1f} ms",
            f"memory grew by {self.growth_kib / 1024:.0f} MiB",
            *(f"{count:>8}  {name}" for name, count in self.outcomes.most_common()),
        ]
        return "\n".join(lines)


def mutated(chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """One sample with one to four things wrong with it."""
    data = bytearray(chance.choice(samples))
    for _ in range(chance.randint(1, 4)):
        chance.choice(MUTATIONS)(chance, data, samples)
    return bytes(data)


def _flip(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(
            (0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x30, 0x31, 0x7F, 0x80, 0x81, 0x84, 0xA0, 0xFF)
        )


def _insert(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randint(0, len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 16))


def _delete(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randint(0, len(data))
    del data[place : place + chance.randint(1, 16)]


def _truncate(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _repeat(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randint(0, len(data))
    piece = bytes(data[place : place + chance.randint(1, 64)])
    data[place:place] = piece * chance.randint(1, 40)


def _splice(chance: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    other = chance.choice(samples)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def _nest(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    """Put the message, or zeros, deep into something: what a recursive reader trips over."""
    content = bytes(data) if chance.random() < 0.5 else bytes(chance.randint(0, 64))
    for _ in range(chance.choice((3, 30, 600))):
        content = der.encode(chance.choice((0x30, 0x31, 0xA0)), content)
    data[:] = content


MUTATIONS = (_flip, _flip, _replace, _replace, _insert, _delete, _truncate, _repeat, _splice, _nest)


def run(
    target: Target,
    samples: Sequence[bytes],
    count: int,
    *,
    seed: int = SEED,
    wrap: Callable[[bytes], bytes] | None = None,
) -> Report:
    """Send so many mutated inputs.

    Args:
        target: Reads them.
        samples: Good ones.
        count: How many.
        seed: Which.
        wrap: Puts half of the inputs into something valid, such as a signature, so that they come
            further than to its check.
    """
    chance = random.Random(seed)  # noqa: S311 - the same inputs again are what it is for
    report = Report()
    began, at_first = time.monotonic(), _peak_kib()
    for _ in range(count):
        data = mutated(chance, samples)
        if wrap is not None and chance.random() < 0.5:
            data = wrap(data)
        start, start_cpu = time.perf_counter(), time.process_time()
        try:
            outcome = target(data)
        except errors.InputError as error:
            outcome = f"refused: {error.code}"
        except Exception as error:
            raise UnexpectedError(f"{type(error).__name__}: {error} for {data.hex()}") from error
        took, took_cpu = time.perf_counter() - start, time.process_time() - start_cpu
        report.slowest_cpu_s = max(report.slowest_cpu_s, took_cpu)
        report.outcomes[outcome] += 1
        if took > report.slowest_s:
            report.slowest_s, report.slowest_bytes = took, len(data)
    report.inputs = count
    report.seconds = time.monotonic() - began
    report.growth_kib = _peak_kib() - at_first
    return report


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is fuzzed: who reads, with which samples."""

    target: Target
    samples: Sequence[bytes]
    wrap: Callable[[bytes], bytes] | None = None


@contextlib.contextmanager
def csr_parser() -> Iterator[Subject]:
    """The reader of PKCS#10: half of the inputs are signed after they were mutated."""
    key = ec.generate_private_key(ec.SECP256R1())
    samples = [ca_world.make_csr(kind) for kind in algorithms.KeyKind] + [
        x509.CertificateSigningRequestBuilder()
        .subject_name(ca_world.FOREIGN_AUTHORITY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.7"), b"TEST challenge")
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    ]
    _, algorithm, _ = der.read(samples[-1]).children()

    def signed(data: bytes) -> bytes:
        value = key.sign(data, ec.ECDSA(hashes.SHA256()))
        return der.encode(
            der.SEQUENCE,
            data,
            der.encode(algorithm.tag, algorithm.content),
            der.encode(der.BIT_STRING, b"\0", value),
        )

    infos = []
    for one in samples:
        info = der.read(one).children()[0]
        infos.append(der.encode(info.tag, info.content))

    def parse(data: bytes) -> str:
        return f"read: a key of {csr.parse(data).key_kind.value}"

    yield Subject(parse, [*samples, *infos], signed)


@contextlib.contextmanager
def cmp_endpoint() -> Iterator[Subject]:
    """The CMP office: half of the inputs are bodies that are protected after they were mutated."""
    with tempfile.TemporaryDirectory() as folder:
        engine = database.connect(f"sqlite:///{pathlib.Path(folder)}/ca.sqlite")
        database.Base.metadata.create_all(engine)
        at = clock.whole_seconds(clock.SystemClock().now())
        office = cmp_office.make_office(ca_world.make_world(database.session_factory(engine), at))
        client = cmp_office.Client(at, *office.reference())
        signer, _, certificate_der = cmp_office.enrolled(office)
        kind = cmp_messages.BodyType
        bodies = {
            kind.ir: cmp_office.cert_request(cmp_office.new_key()),
            kind.p10cr: ca_world.make_csr(),
            kind.rr: cmp_office.revocation(certificate_der, 1),
            kind.certConf: cmp_office.confirmation(bytes(48)),
            kind.genm: der.encode(
                der.SEQUENCE, der.encode(der.SEQUENCE, der.encode_oid("1.3.6.1.5.5.7.4.17"))
            ),
        }
        whole = [
            (signer if one is kind.rr else client).request(one, content)
            for one, content in bodies.items()
        ]
        choice = random.Random(SEED)  # noqa: S311

        def protected(data: bytes) -> bytes:
            return client.request(choice.choice(list(bodies)), data)

        def answer(data: bytes) -> str:
            failure = cmp_office.failure(office.answer(data))
            return "answered" if failure is None else f"error: {failure}"

        yield Subject(answer, [*whole, *bodies.values()], protected)
        engine.dispose()


@contextlib.contextmanager
def ocsp_endpoint() -> Iterator[Subject]:
    """The OCSP responder's endpoint: half of the requests by GET, some of these paths mutated."""
    at = clock.whole_seconds(clock.SystemClock().now())
    world = hierarchy_support.make_hierarchy(at)
    holder = world.ocsp_responder()
    issuer = responder_key.StatusIssuer(
        "citizen",
        world.issuing.certificate,
        (responder_key.ResponderKey(holder.certificate, holder.handle),),
    )
    known = {
        world.signer().certificate.serial_number: status.CertificateStatus(),
        world.signer().certificate.serial_number: status.CertificateStatus(
            at, status.RevocationReason.keyCompromise, at
        ),
    }
    answering = responder.Responder((issuer,), lambda _name, serial: known.get(serial))
    samples = []
    for hashed in (hashes.SHA1(), hashes.SHA256()):  # noqa: S303 - names an issuer
        for serial in (*known, 4711):
            for nonce in (None, bytes(range(32))):
                question = status_answers.Question(world.issuing.certificate, serial)
                samples.append(question.build(hashed, nonce))
    fixed = clock.FixedClock(at)
    endpoint = ocsp_api.endpoints(answering, fixed)["/ocsp"]
    chance = random.Random(SEED)  # noqa: S311
    with Caller(endpoint) as caller:

        def answer(data: bytes) -> str:
            if chance.random() < 0.5:
                reply = caller.post("/ocsp", ocsp_api.REQUEST_TYPE, data)
            else:
                path = base64.b64encode(data).decode()
                if chance.random() < 0.5:
                    path = mutated(chance, [path.encode()]).decode("latin-1")
                reply = caller.get(f"/ocsp/{path}")
            _expect(reply, ocsp_api.RESPONSE_TYPE)
            told = x509_ocsp.load_der_ocsp_response(reply.body)
            if told.response_status is not x509_ocsp.OCSPResponseStatus.SUCCESSFUL:
                return told.response_status.name
            # What is answered is answered about something that is ours, and is signed.
            singles = list(told.responses)
            signer = told.certificates[0].public_key()
            algorithm = told.signature_hash_algorithm
            if not isinstance(signer, ec.EllipticCurvePublicKey) or algorithm is None:
                raise TypeError("expected a responder's key on a curve")
            signer.verify(told.signature, told.tbs_response_bytes, ec.ECDSA(algorithm))
            for one in singles:
                expected = "UNKNOWN"
                if one.serial_number in known:
                    revoked = known[one.serial_number].revoked_at is not None
                    expected = "REVOKED" if revoked else "GOOD"
                if one.certificate_status.name != expected:
                    raise ValueError(f"expected {expected}, got {one.certificate_status.name}")
            return f"answered: {singles[0].certificate_status.name}"

        yield Subject(answer, samples)


@contextlib.contextmanager
def time_stamp_endpoint() -> Iterator[Subject]:
    """The time-stamping authority's endpoint."""
    at = clock.whole_seconds(clock.SystemClock().now())
    holder = hierarchy_support.make_hierarchy(at).time_stamping_unit()
    unit = tsa_authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])
    policy = "1.3.6.1.4.1.99999.7"
    issuing = tsa_authority.TimeStampAuthority(unit, (policy,))
    samples = [
        tsa_messages.build_request(
            tsa_messages.TimeStampRequest(
                tsa_messages.MessageImprint(one, one.digest(b"TEST")),
                policy=asked,
                nonce=nonce,
                cert_req=nonce is not None,
            )
        )
        for one in algorithms.HashAlgorithm
        for asked in (None, policy)
        for nonce in (None, 2**63)
    ]
    endpoint = tsa_api.endpoints(issuing, clock.FixedClock(at))["/tsa"]
    with Caller(endpoint) as caller:

        def answer(data: bytes) -> str:
            reply = caller.post("/tsa", tsa_api.REQUEST_TYPE, data)
            _expect(reply, tsa_api.RESPONSE_TYPE)
            found = tsa_messages.parse_response(reply.body)
            return ", ".join([found.status.name, *sorted(one.name for one in found.failures)])

        yield Subject(answer, samples)


@dataclasses.dataclass(frozen=True)
class Reply:
    """What an endpoint sent."""

    status: int
    content_type: str
    body: bytes


class Caller:
    """Calls an ASGI endpoint as a server does, in this thread, so that its time can be measured."""

    def __init__(self, endpoint: starlette_types.ASGIApp) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    def post(self, path: str, content_type: str, body: bytes) -> Reply:
        """Send a body."""
        return self._call("POST", path, [(b"content-type", content_type.encode())], body)

    def get(self, path: str) -> Reply:
        """Ask for a path."""
        return self._call("GET", path, [], b"")

    def _call(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Reply:
        sent: list[starlette_types.Message] = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "headers": headers,
        }

        async def receive() -> starlette_types.Message:
            return {"type": "http.request", "body": body}

        async def send(message: starlette_types.Message) -> None:
            sent.append(message)

        self._loop.run_until_complete(self._endpoint(scope, receive, send))
        content_type = dict(sent[0]["headers"]).get(b"content-type", b"").decode()
        return Reply(sent[0]["status"], content_type, sent[1]["body"])


def _expect(reply: Reply, content_type: str) -> None:
    """Every message gets an answer of the protocol, of bounded size."""
    if (reply.status, reply.content_type) != (200, content_type):
        raise ValueError(f"got HTTP {reply.status} {reply.content_type}")
    if len(reply.body) > MAX_ANSWER_BYTES:
        raise ValueError(f"got {len(reply.body)} bytes")


SUBJECTS: Mapping[str, Callable[[], "contextlib.AbstractContextManager[Subject]"]] = {
    "csr": csr_parser,
    "cmp": cmp_endpoint,
    "ocsp": ocsp_endpoint,
    "tsp": time_stamp_endpoint,
}


def fuzz(name: str, count: int, seed: int = SEED) -> Report:
    """Fuzz one of `SUBJECTS`."""
    with SUBJECTS[name]() as subject:
        return run(subject.target, subject.samples, count, seed=seed, wrap=subject.wrap)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzzing")
    parser.add_argument("subject", choices=sorted(SUBJECTS))
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args(arguments)
    print(f"{chosen.subject}: {fuzz(chosen.subject, chosen.inputs, chosen.seed)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
