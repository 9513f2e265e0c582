"""Every certificate of a view in the order in which responses are signed ahead."""

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ocsp.statuses import contents
from pki import registry_reader, status, status_file

AT = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
GOOD = status.CertificateStatus()
HELD = status.CertificateStatus(AT, status.RevocationReason.certificateHold)

statuses = st.dictionaries(st.integers(1, 2**160 - 1), st.sampled_from([GOOD, HELD]), max_size=30)


def _serial(number: int) -> bytes:
    return number.to_bytes(registry_reader.SERIAL_BYTES, "big")


@given(before=statuses, changed=statuses, again=st.sampled_from([GOOD, HELD]))
@settings(deadline=None, max_examples=100)
def test_each_certificate_comes_once_in_order_with_its_newest_status(
    before: dict[int, status.CertificateStatus],
    changed: dict[int, status.CertificateStatus],
    again: status.CertificateStatus,
) -> None:
    # Some that changed were there before.
    changed = {**changed, **dict.fromkeys(list(before)[::3], again)}
    issuer = registry_reader.Issuer("citizen", b"")
    header = status_file.Header(registry_reader.Position(), AT, issuers=(issuer,))
    base = {"citizen": {_serial(one): known for one, known in before.items()}}
    overlay = {
        "citizen": {
            _serial(one): registry_reader.StatusChange(1, "citizen", _serial(one), known)
            for one, known in changed.items()
        }
    }
    held = contents.Contents(
        status_file.StatusFile(b"".join(status_file.build(header, base))),
        overlay,
        header.position,
        AT,
        None,
        (issuer,),
        (),
    )
    expected = {**before, **changed}
    assert list(held.enumerate("citizen")) == sorted(expected.items())
    assert list(held.enumerate("another")) == []
