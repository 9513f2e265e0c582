"""A report in English."""

from signing_service.reports.wording import Wording

WORDING = Wording(
    language="en",
    language_name="English",
    title="Signature validation report",
    document="Document",
    digest="SHA-256",
    validated_at="Validated as of",
    policy="Policy",
    signature="Signature {number}",
    no_signature="The document has no signature.",
    signed_by="Signed by",
    unknown_signer="an unknown signer",
    person_code="Personal number",
    organisation="Organisation",
    when="When",
    when_proven="before {time} (proved by a time stamp)",
    when_claimed="{time} (only the signer says so)",
    when_unknown="not said",
    level="Level",
    qualification="Kind",
    covers="Covers",
    why="Why",
    warning="Warning",
    note="Note",
    time_stamp="Time stamp",
    no_time="no time",
    by="by",
    certificate="Certificate",
    issuer="Issued by",
    serial_number="Serial number",
    page="Page",
    disclaimer=(
        "This report says what a program found at the time it names. It is no legal advice, and the"
        " program that made it is not certified."
    ),
    indications={
        "TOTAL-PASSED": "valid",
        "INDETERMINATE": "cannot be decided",
        "TOTAL-FAILED": "not valid",
        "NO-SIGNATURE": "no signature",
    },
    reasons={
        "FORMAT_FAILURE": "The signature is not built as its format demands.",
        "HASH_FAILURE": "What was signed has been changed since.",
        "SIG_CRYPTO_FAILURE": "The signature does not belong to the signer's key.",
        "REVOKED": "The certificate was revoked before the signature was made.",
        "EXPIRED": "The certificate had ended before the signature was made.",
        "NOT_YET_VALID": "The signature was made before the certificate's period began.",
        "SIG_CONSTRAINTS_FAILURE": "The signature does not meet a rule of the policy.",
        "CHAIN_CONSTRAINTS_FAILURE": "The certificate does not meet a rule of the policy.",
        "CERTIFICATE_CHAIN_GENERAL_FAILURE": "The path to a trusted authority could not be"
        " checked.",
        "CRYPTO_CONSTRAINTS_FAILURE": "An algorithm or key is too weak to be relied on.",
        "POLICY_PROCESSING_ERROR": "The signature policy could not be processed.",
        "SIGNATURE_POLICY_NOT_AVAILABLE": "The signature policy could not be found.",
        "TIMESTAMP_ORDER_FAILURE": "The time stamps contradict each other.",
        "NO_SIGNING_CERTIFICATE_FOUND": "The signer's certificate could not be found.",
        "NO_CERTIFICATE_CHAIN_FOUND": "No path leads from the certificate to a trusted authority.",
        "REVOKED_NO_POE": "The certificate was revoked, and nothing proves that the signature is"
        " older.",
        "REVOKED_CA_NO_POE": "An authority's certificate was revoked, and nothing proves that the"
        " signature is older.",
        "OUT_OF_BOUNDS_NOT_REVOKED": "The certificate has ended, and nothing proves that the"
        " signature is older; it was not revoked.",
        "OUT_OF_BOUNDS_NO_POE": "The certificate has ended, or had not begun, and nothing proves"
        " when the signature was made.",
        "REVOCATION_OUT_OF_BOUNDS_NO_POE": "The statements about the certificate's status have"
        " ended, and nothing proves that they are older.",
        "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "An algorithm or key is too weak today, and nothing"
        " proves that the signature is from a time when it was strong.",
        "NO_POE": "Nothing proves that the signature existed when it would have had to.",
        "TRY_LATER": "Whether the certificate is still good could not be learnt; try again later.",
        "SIGNED_DATA_NOT_FOUND": "What was signed is not here.",
    },
    qualifications={
        "QESig": "qualified electronic signature",
        "QESeal": "qualified electronic seal",
        "AdESig-QC": "advanced electronic signature with a qualified certificate",
        "AdESeal-QC": "advanced electronic seal with a qualified certificate",
        "AdESig": "advanced electronic signature",
        "AdESeal": "advanced electronic seal",
    },
    scopes={
        "full": "the whole document",
        "partial": "a part of the document",
        "none": "nothing that is shown",
    },
    changes={
        "permitted": "only permitted additions after it",
        "undefined": "changed after it in a way a signer would not expect",
    },
    stamp_kinds={
        "content": "over the content",
        "signature": "over the signature",
        "archive": "for the archive",
        "document": "over the document",
        "container": "over the container",
    },
    stamp_states={"true": "intact", "false": "broken", "null": "unreadable"},
)
