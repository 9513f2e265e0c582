"""The gallery of time and trust: who wants to look earlier or trusted, and what we say.

python -m pytest tests/signing_service/validation/test_time_gallery.py -v
"""

import pytest

from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import signed_cms
from tests.support.attacks import on_time
from tests.support.attacks.attacker import CONTENT


@pytest.fixture
def who(hierarchy, at) -> on_time.Thief:
    return on_time.Thief(hierarchy, at)


@pytest.fixture
def judge(tmp_path, hierarchy, at, who):
    def validate(content: bytes) -> report.SignatureReport:
        path = tmp_path / "judged"
        path.write_bytes(content)
        (found,) = process.validate(
            documents.Document("judged", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=lambda missing: process.FetchedEvidence(crls=who.lists()),
        ).signatures
        return found

    return validate


def test_honest_signer_passes_at_the_same_time(who, judge):
    found = judge(signed_cms.sign(CONTENT, who.victim, who.at).encode())
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors


def test_signature_that_was_stamped_before_the_revocation_passes(who, judge):
    """The key was its owner's then."""
    made = who.stolen()
    token = signed_cms.stamp(who.unit, made.signers[0].value, who.before)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    found = judge(made.encode())
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert found.best_signature_time == who.before


@pytest.mark.parametrize("attack", on_time.GALLERY, ids=lambda one: f"{one.tries} -> {one.says}")
def test_attack_on_time_or_trust_is_noticed(who, judge, attack):
    found = judge(attack.make(who))
    assert found.indication is not report.Indication.TOTAL_PASSED
    said = {found.sub_indication.value, *(one.code for one in (*found.errors, *found.warnings))}
    assert said.issuperset(attack.says.split()), said
