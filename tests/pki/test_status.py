import datetime

import pytest
from cryptography import x509

from pki import errors, status


@pytest.mark.clause("RFC 5280", "5.3.1")
def test_reasons_are_spelled_and_numbered_as_the_standard_does() -> None:
    for reason in status.RevocationReason:
        flag = x509.ReasonFlags(reason.name)
        if reason.value:
            encoded = x509.CRLReason(flag).public_bytes()
            assert encoded == bytes((0x0A, 1, reason.value))
        assert status.RevocationReason.from_name(reason.name) is reason


@pytest.mark.parametrize("name", ["removeFromCRL", "key_compromise", "", "KEYCOMPROMISE"])
def test_another_name_is_no_reason(name: str) -> None:
    with pytest.raises(errors.InputError):
        status.RevocationReason.from_name(name)


def test_a_status_is_good_until_it_is_revoked(at: datetime.datetime) -> None:
    assert status.CertificateStatus().is_good
    assert not status.CertificateStatus(at, status.RevocationReason.certificateHold).is_good
