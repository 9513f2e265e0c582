"""Issuing certificates beside building and signing them with `cryptography` and storing nothing.

Both sides make the same certificates from the same drafts with the same P-384 key in memory: the
peer builds them anew from their parts, signs (SHA-384) and encodes, in one thread, and keeps
nothing. Ours lints each, records what will be signed and commits, has it on the disk of the
signature log, signs, checks the value (which takes twice as long as signing with this curve),
stores the certificate with two entries of the audit log and commits again. Every commit waits for
the disk. A batch signs and checks in as many threads as there are processors.
"""

import contextlib
import dataclasses
import datetime
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from benchmarks import row
from ca import authority, drafts, issuance, orders, peer_lint, subjects
from ca import settings as ca_settings
from pki import algorithms, clock, database, profiles, registration, registry
from pki.keystore import logged_store, signature_log, time_limit
from tests.support import ca_world, postgresql
from tests.support.hierarchy import MemoryKey, make_key

BATCH = issuance.MAX_ORDERS
ROUNDS, SINGLES = 12, 25
SQLITE_TARGET, POSTGRESQL_TARGET, SINGLE_TARGET = 0.7, 0.6, 0.15


def rows() -> Iterator[row.Row]:
    """Measure batches and single certificates, on SQLite and on PostgreSQL."""
    peer_lint.load()
    with contextlib.ExitStack() as running:
        folder = pathlib.Path(running.enter_context(tempfile.TemporaryDirectory()))
        server = running.enter_context(postgresql.running(folder / "pg", durable=True))
        for name, url, target in (
            ("SQLite", f"sqlite:///{folder}/ca.sqlite", SQLITE_TARGET),
            ("PostgreSQL", server.url, POSTGRESQL_TARGET),
        ):
            bench = _Bench(url, folder / f"{name}.log")
            running.callback(bench.close)
            yield bench.measure(f"issuance, batches of {BATCH}, {name}", BATCH, target, bench.batch)
            yield bench.measure(f"issuance, one by one, {name}", SINGLES, SINGLE_TARGET, bench.each)
            if name == "SQLite":
                yield bench.measure(
                    f"issuance, batches of {BATCH}, {name}, pkilint judges each (the default)",
                    SINGLES,
                    None,
                    bench.batch_judged_in_full,
                )


class _Bench:
    """A CA in an empty database, with the log that its key writes."""

    def __init__(self, url: str, log: pathlib.Path) -> None:
        self._engine = database.connect(url)
        database.Base.metadata.create_all(self._engine)
        self._at = clock.whole_seconds(clock.SystemClock().now())
        self._sessions = database.session_factory(self._engine)
        self._settings = dataclasses.replace(ca_world.SETTINGS, lint_by_form=True)
        self._key = make_key(algorithms.KeyKind.P384)
        self._issuer = authority.Issuer(
            "citizen",
            subjects.service_name("Citizen CA", self._settings),
            logged_store.LoggedKey(
                MemoryKey("ca-citizen", self._key),
                signature_log.SignatureLog(log, clock.SystemClock()),
                time_limit.AnswerWatch(),
            ),
            self._at + datetime.timedelta(days=9 * 365),
        )
        self._count = 0

    def close(self) -> None:
        self._engine.dispose()

    def measure(
        self,
        subject: str,
        count: int,
        target: float | None,
        ours: Callable[[Sequence[orders.Order]], None],
    ) -> row.Row:
        ours(self._orders(count))
        our_rates, their_rates = [], []
        for _ in range(ROUNDS):
            batch = self._orders(count)
            their_rates.append(count / _seconds(self._build_and_sign, batch))
            our_rates.append(count / _seconds(ours, batch))
        ratio = statistics.median(
            one / other for one, other in zip(our_rates, their_rates, strict=True)
        )
        return row.Row(
            subject,
            "cryptography builds and signs, no lint, no database",
            f"{statistics.median(our_rates):.0f}/s",
            f"{statistics.median(their_rates):.0f}/s",
            ratio,
            "none" if target is None else f">= {target}",
            target is None or ratio >= target,
        )

    def batch(self, batch: Sequence[orders.Order]) -> None:
        self._issue(batch, self._settings)

    def batch_judged_in_full(self, batch: Sequence[orders.Order]) -> None:
        self._issue(batch, dataclasses.replace(self._settings, lint_by_form=False))

    def each(self, batch: Sequence[orders.Order]) -> None:
        for one in batch:
            self._issue((one,), self._settings)

    def _issue(self, batch: Sequence[orders.Order], settings: ca_settings.Settings) -> None:
        for outcome in issuance.issue_certificates(self._sessions, batch, settings, self._at):
            if not isinstance(outcome, registry.CertificateRecord):
                raise outcome

    def _orders(self, count: int) -> list[orders.Order]:
        applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
        name = subjects.subject_name(applicant, self._settings)
        made = []
        for _ in range(count):
            self._count += 1
            draft = drafts.draft_certificate(
                profiles.SIGN,
                self._issuer,
                name,
                make_key(algorithms.KeyKind.P256).public_key(),
                self._settings,
                self._at,
            )
            request = orders.IssuanceRequest(f"bench/{self._count}", "bench")
            made.append(orders.Order(draft, request))
        return made

    def _build_and_sign(self, batch: Sequence[orders.Order]) -> None:
        for one in batch:
            draft = one.draft
            builder = (
                x509.CertificateBuilder()
                .subject_name(draft.subject)
                .issuer_name(draft.issuer.subject)
                .public_key(draft.public_key)
                .serial_number(draft.serial_number)
                .not_valid_before(draft.not_before)
                .not_valid_after(draft.not_after)
            )
            for extension, critical in drafts.extensions_of(draft):
                builder = builder.add_extension(extension, critical)
            made = builder.sign(self._key, draft.issuer.key_kind.hash_algorithm.hasher)
            made.public_bytes(serialization.Encoding.DER)


def _seconds(
    work: Callable[[Sequence[orders.Order]], None], batch: Sequence[orders.Order]
) -> float:
    start = time.perf_counter()
    work(batch)
    return time.perf_counter() - start
