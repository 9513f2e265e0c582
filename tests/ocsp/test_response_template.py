"""Answers from templates beside the message builder, byte for byte."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsp import cert_id, messages, response_template
from pki import algorithms, certificates, signature, status
from tests.support import hierarchy as hierarchy_support

AT = datetime.datetime(2026, 6, 1, 12, 0, 30, tzinfo=datetime.UTC)
WORLD = hierarchy_support.make_hierarchy(AT)
ISSUER = WORLD.issuing.certificate
CUTOFF = ISSUER.not_valid_before_utc

times = st.integers(0, 2**37).map(lambda one: datetime.datetime.fromtimestamp(one, datetime.UTC))
known = st.one_of(
    st.none(),
    st.just(status.CertificateStatus()),
    st.builds(
        status.CertificateStatus,
        times,
        st.sampled_from(list(status.RevocationReason)),
        st.none() | times,
    ),
)
asked = st.lists(
    st.tuples(st.integers(1, 2**160 - 1), st.sampled_from(list(cert_id.CertIDHash)), known),
    min_size=1,
    max_size=20,
)


def _template(
    holder: hierarchy_support.Holder,
) -> response_template.ResponseTemplate:
    kind = algorithms.key_kind(holder.certificate.public_key())
    return response_template.ResponseTemplate(holder.certificate, kind, CUTOFF)


RESPONDER = WORLD.ocsp_responder()
TEMPLATE = _template(RESPONDER)


@given(asked, st.none() | st.binary(min_size=1, max_size=128), times)
@settings(deadline=None, max_examples=300)
def test_what_is_signed_is_what_the_message_builder_makes(
    named: list[tuple[int, cert_id.CertIDHash, status.CertificateStatus | None]],
    nonce: bytes | None,
    at: datetime.datetime,
) -> None:
    since = at - datetime.timedelta(minutes=7)
    ids = [(cert_id.name_certificate(ISSUER, serial, kind), known) for serial, kind, known in named]
    expected = messages.build_response_data(
        messages.ResponseData(
            cert_id.key_hash(RESPONDER.certificate, cert_id.CertIDHash.SHA1),
            at,
            tuple(
                messages.SingleResponse(
                    one, known, since, at if known else None, CUTOFF if known else None
                )
                for one, known in ids
            ),
            nonce,
        )
    )
    assert (
        TEMPLATE.response_data(ids, response_template.encode_times(at, since, at), nonce)
        == expected
    )


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_the_whole_response_is_what_the_message_builder_makes(kind: algorithms.KeyKind) -> None:
    holder = WORLD.signer(kind=kind)
    template = _template(holder)
    handle = holder.handle
    for size in (1, 100, 127, 128, 200, 255, 256, 1000, 4000):
        data = b"x" * size
        value = handle.sign(signature.represent(data, kind.hash_algorithm))
        expected = messages.build_response(data, value, (certificates.to_der(holder.certificate),))
        # Twice: the second time from the frame that was kept.
        for _ in range(2):
            assert template.response(data, value.encoded_for_cms()) == expected
