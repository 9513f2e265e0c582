import pytest

from pki import certificates, oids, profiles


@pytest.mark.clause("EN 319 412-2", "4.3.2")
def test_signing_and_authenticating_keys_do_nothing_else() -> None:
    assert profiles.SIGN.key_usage == {certificates.KeyUsage.nonRepudiation}
    assert profiles.AUTHENTICATE.key_usage == {certificates.KeyUsage.digitalSignature}


@pytest.mark.clause("RFC 3161", "2.3")
def test_a_time_stamping_unit_has_one_critical_purpose() -> None:
    assert profiles.TIME_STAMPING_UNIT.extended_key_usage == (oids.TIME_STAMPING,)
    critical = [one for one in profiles.ALL if one.extended_key_usage_critical]
    assert critical == [profiles.TIME_STAMPING_UNIT]


def test_a_secure_device_is_claimed_only_where_it_is_known() -> None:
    known = profiles.subscriber_profile("sign", secure_device=True)
    unknown = profiles.subscriber_profile("sign", secure_device=False)
    assert known.standard_policies == (oids.QCP_N_QSCD,)
    assert unknown.standard_policies == (oids.QCP_N,)


@pytest.mark.parametrize("name", ["root", "authority", "ocsp-responder", "", "SIGN"])
def test_a_registration_gets_the_subscribers_profiles_alone(name: str) -> None:
    with pytest.raises(profiles.UnknownProfileError):
        profiles.subscriber_profile(name, secure_device=True)
