"""The words of a report for people; each language has a module with its own."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Wording:
    """Everything that a report says in one language.

    Keys of the mappings are the values of the contract's report: `TOTAL-PASSED`, `HASH_FAILURE`,
    `full`, `signature`. Texts with `{names}` are filled in.

    Attributes:
        indications: What each verdict means, in a short phrase.
        reasons: What each sub-indication means for the reader, in a sentence.
        qualifications: What each value of `qualified` is called.
        scopes: What a signature covers; `covers_signature` is said of a counter-signature.
        changes: What came after it; nothing is said of `none`.
        pages: The heading over how the pages look now; `pages_...` are what is said there.
        stamp_kinds: What a time stamp is over.
        stamp_states: Keys are `true`, `false` and `null`.
        stages: The headings over the building blocks: `basic`, `time`, `past` and `quality`.
        blocks: What each building block is about, by the standard's short name.
        block_indications: What a block's conclusion means.
        process_names: The processes of EN 319 102-1: `basic`, `with-time` and `long-term`.
        past_blocks: Past certificate validation `PCV`, past signature validation `PSV`.
        advice: What the reader can do about a verdict; keys as in `sheet.ADVICE`.
        rules: What each rule demands, as if it were kept.
    """

    language: str
    language_name: str
    title: str
    document: str
    digest: str
    validated_at: str
    policy: str
    signature: str
    no_signature: str
    signed_by: str
    unknown_signer: str
    person_code: str
    organisation: str
    when: str
    when_proven: str
    when_claimed: str
    when_unknown: str
    level: str
    qualification: str
    covers: str
    covers_signature: str
    why: str
    warning: str
    note: str
    time_stamp: str
    evidence_record: str
    no_time: str
    by: str
    certificate: str
    issuer: str
    serial_number: str
    page: str
    disclaimer: str
    indications: Mapping[str, str]
    reasons: Mapping[str, str]
    qualifications: Mapping[str, str]
    scopes: Mapping[str, str]
    changes: Mapping[str, str]
    pages: str
    pages_different: str
    pages_same: str
    pages_counted: str
    pages_compared: str
    stamp_kinds: Mapping[str, str]
    stamp_states: Mapping[str, str]
    course: str
    as_of: str
    not_demanded: str
    unfinished: str
    processes: str
    process_names: Mapping[str, str]
    past_blocks: Mapping[str, str]
    proof: str
    without_proof: str
    what_to_do: str
    advice: Mapping[str, str]
    signatures: str
    signatures_counted: str
    stages: Mapping[str, str]
    blocks: Mapping[str, str]
    block_indications: Mapping[str, str]
    rules: Mapping[str, str]
