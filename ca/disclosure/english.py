"""The statement in English."""

from ca.disclosure.wording import Condition, Fact, SectionWording, Sentence, Wording

WORDING = Wording(
    language="en",
    language_name="English",
    title="PKI disclosure statement",
    index_title="PKI disclosure statements",
    test_notice=(
        "TEST. This is a test installation. Its operator is not a qualified trust service provider,"
        " and its signature devices are software that nobody has certified. Do not rely on any"
        " certificate of it."
    ),
    introduction=(
        Sentence(
            "This statement says in short what {operator} promises and what it expects of you. It"
            " is a summary: the certificate policy, the certification practice statement and the"
            " agreement with you say everything in full, and where they differ from this"
            " statement, they decide."
        ),
    ),
    sections=(
        SectionWording(
            "contact",
            "TSP contact info",
            (
                Sentence(
                    "Ask for the revocation of a certificate at any hour, by telephone or online."
                    " Use the other addresses for everything else."
                ),
            ),
            (
                Fact("Trust service provider", "operator"),
                Fact("Identifier", "operator_identifier"),
                Fact("Address", "address"),
                Fact("E-mail", "email"),
                Fact("Telephone", "telephone"),
                Fact("Website", "website"),
                Fact("Revocation by telephone", "revocation_telephone"),
                Fact("Revocation online", "revocation_url"),
            ),
        ),
        SectionWording(
            "certificates",
            "Certificate type, validation procedures and usage",
            (
                Sentence(
                    "{operator} certifies citizens, persons who act for a legal entity, and"
                    " officials of state bodies. Each of them gets two certificates for each card"
                    " or SIM. Organisations get certificates for their seals and for X-Road:"
                ),
            ),
            (
                Fact("For signatures, policies", "signing_policies"),
                Fact("For authentication, policies", "authentication_policies"),
                Fact("For seals, policies", "seal_policies"),
                Fact("For X-Road, policies", "xroad_policies"),
            ),
            (
                Sentence(
                    "A signing certificate serves electronic signatures and nothing else. An"
                    " authentication certificate shows a service who its owner is and signs no"
                    " documents."
                ),
                Sentence(
                    "A seal certificate names an organisation and serves its electronic seals and"
                    " nothing else. A seal shows that a document comes from the organisation; it"
                    " is nobody's signature."
                ),
                Sentence(
                    "X-Road certificates serve the members and the security servers of X-Road, the"
                    " exchange of data between organisations. They are not qualified."
                ),
                Sentence(
                    "An officer checks who the applicant is before a certificate is issued. Where a"
                    " person acts for an organisation, or the organisation itself is certified, a"
                    " second officer approves. The applicant proves to have the private key."
                ),
                Sentence("A certificate is valid for {validity_years} years at most."),
                Sentence(
                    "The private keys of signing and seal certificates are in qualified signature"
                    " and seal creation devices.",
                    Condition.SECURE_DEVICE,
                ),
                Sentence(
                    "Nothing is promised about the device that holds the private key.",
                    Condition.NO_SECURE_DEVICE,
                ),
                Sentence(
                    "The certificates name a qualified device to show the form of a certificate."
                    " The keys are in software.",
                    Condition.TEST,
                ),
                Sentence(
                    "Use a certificate neither for a purpose that it does not name nor to certify"
                    " others."
                ),
            ),
        ),
        SectionWording(
            "reliance",
            "Reliance limits",
            (
                Sentence(
                    "A certificate is meant for transactions of up to {reliance_limit}.",
                    Condition.RELIANCE_LIMIT,
                ),
                Sentence("The value of a transaction is not limited.", Condition.NO_RELIANCE_LIMIT),
                Sentence(
                    "Records of registration and of events are kept for {retention_years} years"
                    " after a certificate's end. The times in them are UTC. A time stamp differs"
                    " from UTC by one second at most."
                ),
            ),
        ),
        SectionWording(
            "subscribers",
            "Obligations of subscribers",
            (Sentence("As the owner of a certificate you have these duties:"),),
            (),
            (
                Sentence("Give true and complete information when you apply."),
                Sentence(
                    "Check what the certificate says of you before you use it, and report errors."
                ),
                Sentence(
                    "Keep the card, the SIM and the PIN to yourself. Nobody may ask you for a PIN,"
                    " and neither do we."
                ),
                Sentence("Use the key only for what the certificate allows, within its limits."),
                Sentence(
                    "As an organisation, let only those use the seal whom you have charged with"
                    " it, and keep the keys of your X-Road servers under your own control."
                ),
                Sentence(
                    "Ask for revocation at once when the device is lost or stolen, when somebody"
                    " else may know the PIN, or when the certificate no longer says what is true."
                ),
                Sentence(
                    "Do not use the key any more once the certificate has expired, was revoked or"
                    " is suspended, or when you learn that the authority's key is compromised."
                ),
            ),
        ),
        SectionWording(
            "status",
            "Certificate status checking obligations of relying parties",
            (
                Sentence(
                    "Who relies on a certificate has these duties. Statuses are free of charge and"
                    " stay available after a certificate has expired."
                ),
            ),
            (
                Fact("Status service (OCSP)", "ocsp_url"),
                Fact("Revocation lists (CRL)", "crl_url"),
                Fact("Trusted list", "trusted_list_url", Condition.TRUSTED_LIST),
            ),
            (
                Sentence(
                    "Ask for the status of every certificate of the path, up to a root whose"
                    " fingerprint you have from a trustworthy source."
                ),
                Sentence(
                    "Judge a signature by the status at the time that a time stamp proves, not at"
                    " the time that the signer claims."
                ),
                Sentence(
                    "Check that the certificate is meant for what it is used for, and observe its"
                    " limits."
                ),
                Sentence(
                    "Know that a request for revocation is decided within 24 hours, and that the"
                    " new status is published within 60 minutes after the decision."
                ),
            ),
        ),
        SectionWording(
            "warranty",
            "Limited warranty and disclaimer/Limitation of liability",
            (
                Sentence(
                    "{operator} is liable, under the law that applies, for damage that it causes on"
                    " purpose or by negligence when it does not fulfil its duties. For one"
                    " certificate it pays {liability_limit} at most, unless the law demands more."
                ),
                Sentence("It is not liable for damage that comes from one of these:"),
            ),
            (),
            (
                Sentence("false information that the subscriber gave;"),
                Sentence("a device or a PIN that was not kept safe, or a loss not reported;"),
                Sentence("use of a certificate beyond its purpose or its limits;"),
                Sentence("a status that the relying party did not check;"),
                Sentence("events that nobody could foresee or prevent."),
            ),
        ),
        SectionWording(
            "agreements",
            "Applicable agreements, CPS, CP",
            (Sentence("These documents hold in full:"),),
            (
                Fact("Certificate policy", "policy_url"),
                Fact("Certification practice statement", "practice_statement_url"),
                Fact("Terms and conditions", "terms_url"),
            ),
        ),
        SectionWording(
            "privacy",
            "Privacy policy",
            (
                Sentence(
                    "We keep your name, your number, the identity document that was seen, your"
                    " contacts, and what happened to your certificates. We use it to issue and to"
                    " manage certificates, and keep it for {retention_years} years after the"
                    " certificate's end. Others get it only where the law demands it."
                ),
                Sentence(
                    "Your name and your number stand in the certificate. Whoever receives your"
                    " signature sees them."
                ),
            ),
            (Fact("Privacy policy", "privacy_url"),),
        ),
        SectionWording(
            "refund",
            "Refund policy",
            (
                Sentence(
                    "You can claim a fee back within {refund_days} days if the certificate was not"
                    " issued, or cannot be used through a fault of ours.",
                    Condition.REFUND,
                ),
                Sentence("Fees are not paid back, unless the law demands it.", Condition.NO_REFUND),
            ),
        ),
        SectionWording(
            "law",
            "Applicable law, complaints and dispute resolution",
            (
                Sentence("{law}"),
                Sentence(
                    "Send a complaint to the address below. You get an answer within"
                    " {complaints_days} days. If it does not satisfy you, turn to the supervisory"
                    " body."
                ),
                Sentence("{courts}"),
            ),
            (
                Fact("Complaints", "complaints_email"),
                Fact("Supervisory body", "supervisory_body"),
                Fact("Its website", "supervisory_url"),
            ),
        ),
        SectionWording(
            "audit",
            "TSP and repository licences, trust marks, and audit",
            (
                Sentence(
                    "{operator} runs a test installation. It is neither certified nor"
                    " audited, has no licence, and bears no trust mark.",
                    Condition.TEST,
                ),
                Sentence("{audits}"),
                Sentence(
                    "The certificates of the authorities and the revocation lists are published at"
                    " the address below."
                ),
            ),
            (Fact("Repository", "repository_url"),),
        ),
    ),
    contents="Contents",
    languages="Languages",
    version="Version",
    effective="In force since",
    as_pdf="As PDF",
    all_versions="All versions",
    current="in force",
    earlier="earlier",
    digest="SHA-256 of the PDF",
    page="Page",
)
