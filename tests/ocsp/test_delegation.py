import pytest

from ocsp import delegation
from tests.support import hierarchy as hierarchy_support


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_a_responder_that_the_issuer_certified_may_answer_for_it(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    delegation.check_delegation(
        hierarchy.ocsp_responder().certificate, hierarchy.issuing.certificate
    )


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_a_responder_certified_by_another_ca_may_not(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    holder = hierarchy.ocsp_responder(hierarchy.infrastructure)
    with pytest.raises(delegation.ResponderCertificateError, match="very issuer"):
        delegation.check_delegation(holder.certificate, hierarchy.issuing.certificate)


def test_a_certificate_without_ocsp_signing_is_refused(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    holder = hierarchy.signer(authentication=True)
    with pytest.raises(delegation.ResponderCertificateError, match="OCSP signing"):
        delegation.check_delegation(holder.certificate, hierarchy.issuing.certificate)


def test_an_authority_does_not_answer_with_its_issuing_key_as_a_delegate(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    with pytest.raises(delegation.ResponderCertificateError):
        delegation.check_delegation(hierarchy.issuing.certificate, hierarchy.root.certificate)
