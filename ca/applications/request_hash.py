"""The hash that an approval is bound to: of everything that was applied for and vetted."""

import dataclasses
import hashlib
import json
from typing import Any

from ca import subjects
from ca.applications import vetting_record


def compute(applicant: subjects.Applicant, vetting: str | None, *, named: bool = True) -> str:
    """Return the hash in hex.

    Args:
        applicant: Who applies, as what, for which profiles.
        vetting: The vetting record as JSON; None before there is one.
        named: Whether the application names its profiles, as those of the first version did not.
    """
    value: dict[str, Any] = {
        "category": applicant.category.value,
        "person": dataclasses.asdict(applicant.person),
        "organisation": (
            None if applicant.organisation is None else dataclasses.asdict(applicant.organisation)
        ),
        "title": applicant.title,
        "vetting": None if vetting is None else vetting_record.parse(vetting),
    }
    if named:
        value["profiles"] = list(applicant.profile_names)
        value["server"] = None if applicant.server is None else dataclasses.asdict(applicant.server)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
