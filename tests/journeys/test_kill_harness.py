"""Invariant 3, for real: kill -9 under load at each failpoint, restart, compare with the module.

A few kills each; `python -m tests.support.kill_harness` makes as many as are asked for.
"""

import os

import pytest

from tests.support import kill_harness, postgresql

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("kill-harness"),
]

RUNS = 2


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_invariant_3_a_kill_at_any_failpoint_leaves_no_serial_open_and_no_signature_unknown(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        rows, failures = kill_harness.play(database, RUNS)
    except (kill_harness.SpyMissingError, postgresql.PostgresqlMissingError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with capsys.disabled():
        print(f"\n{database}\n{kill_harness.table(rows)}")  # noqa: T201
    assert [row.kills for row in rows] == [RUNS] * 8
    for row in rows:
        assert row.is_clean, kill_harness.table(rows)
        assert row.issued > 0
        # Every certificate that was issued was signed; what was signed besides is revoked.
        assert row.signed == row.good + row.revoked
        assert row.good == row.issued
    assert failures == {}
    # Somebody died with a signature that nobody had stored: that is what this is about.
    assert sum(row.revoked for row in rows if row.failpoint in ("sign", "store", "audit")) > 0


def test_the_modules_record_is_read_as_it_is_written() -> None:
    record = (
        "89: C_Sign\n2026-01-31 12:00:00.000\n[in] hSession = 0x1\n"
        "[in] pData[ulDataLen] 00007f / 20\n"
        "    00000000  D7 52 C2 C5 1F BA 0E 29 AA 19 05 70 A9 D4 25 3E  .R.....)...p..%>\n"
        "    00000010  44 07 7A 05                                      D.z.\n"
    )
    length = "[out] pSignature[*pulSignatureLen] NULL [size : 0x60 (96)]\nReturned:  0 CKR_OK\n\n"
    value = (
        "[out] pSignature[*pulSignatureLen] 00007f / 16\n"
        "    00000000  B5 BF 2D E1 73 11 1A 8B B8 14 2B 89 A4 3D 65 47  ..-.s.....+..=eG\n"
        "Returned:  0 CKR_OK\n\n"
    )
    assert kill_harness.signed_hashes(record + length) == []
    assert kill_harness.signed_hashes(record + length + record + value) == [
        "d752c2c51fba0e29aa190570a9d4253e44077a05"
    ]
    assert kill_harness.signed_hashes(record) == []
