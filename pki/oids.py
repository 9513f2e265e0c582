"""Every object identifier this product writes or looks for, with the document it comes from."""

from typing import Final

# Subject attributes (X.520; RFC 5280 appendix A.1).
COMMON_NAME: Final = "2.5.4.3"
SURNAME: Final = "2.5.4.4"
SERIAL_NUMBER: Final = "2.5.4.5"
COUNTRY_NAME: Final = "2.5.4.6"
ORGANIZATION_NAME: Final = "2.5.4.10"
TITLE: Final = "2.5.4.12"
BUSINESS_CATEGORY: Final = "2.5.4.15"
GIVEN_NAME: Final = "2.5.4.42"
ORGANIZATION_IDENTIFIER: Final = "2.5.4.97"

# Extensions (RFC 5280 4.2; RFC 3739 3.2.6; RFC 6960 4.2.2.2.1).
SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"
KEY_USAGE: Final = "2.5.29.15"
PRIVATE_KEY_USAGE_PERIOD: Final = "2.5.29.16"
SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
CRL_NUMBER: Final = "2.5.29.20"
CRL_DISTRIBUTION_POINTS: Final = "2.5.29.31"
FRESHEST_CRL: Final = "2.5.29.46"
CERTIFICATE_POLICIES: Final = "2.5.29.32"
AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
AUTHORITY_INFORMATION_ACCESS: Final = "1.3.6.1.5.5.7.1.1"
QC_STATEMENTS: Final = "1.3.6.1.5.5.7.1.3"
OCSP_NO_CHECK: Final = "1.3.6.1.5.5.7.48.1.5"
EXPIRED_CERTS_ON_CRL: Final = "2.5.29.60"  # X.509 9.5.2.8

# Ways to information (RFC 5280 4.2.2.1).
AD_OCSP: Final = "1.3.6.1.5.5.7.48.1"
AD_CA_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"

# Extended key usages (RFC 5280 4.2.1.12; TS 119 612 5.7.1).
CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
TIME_STAMPING: Final = "1.3.6.1.5.5.7.3.8"
OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
CMC_CA: Final = "1.3.6.1.5.5.7.3.27"  # RFC 6402 2.10; RFC 9810 4.5
TRUSTED_LIST_SIGNING: Final = "0.4.0.2231.3.0"

# Qualified certificate statements (EN 319 412-5 4.2 and 4.3).
QC_COMPLIANCE: Final = "0.4.0.1862.1.1"
QC_SSCD: Final = "0.4.0.1862.1.4"
QC_PDS: Final = "0.4.0.1862.1.5"
QC_TYPE: Final = "0.4.0.1862.1.6"
QC_TYPE_ESIGN: Final = "0.4.0.1862.1.6.1"
QC_TYPE_ESEAL: Final = "0.4.0.1862.1.6.2"
QC_CC_LEGISLATION: Final = "0.4.0.1862.1.7"

# What the identifiers in a subject mean (RFC 3739 3.2.6.1; EN 319 412-1 5.1).
PKIX_QC_SYNTAX_V2: Final = "1.3.6.1.5.5.7.11.2"
SEMANTICS_NATURAL: Final = "0.4.0.194121.1.1"
SEMANTICS_LEGAL: Final = "0.4.0.194121.1.2"

# Certificate policies (EN 319 411-2 5.3; EN 319 411-1 5.3; RFC 5280 4.2.1.4).
ANY_POLICY: Final = "2.5.29.32.0"
QCP_N: Final = "0.4.0.194112.1.0"
QCP_L: Final = "0.4.0.194112.1.1"
QCP_N_QSCD: Final = "0.4.0.194112.1.2"
QCP_L_QSCD: Final = "0.4.0.194112.1.3"
NCP_PLUS: Final = "0.4.0.2042.1.2"

# Time stamps (EN 319 421 5.2; EN 319 422 9.1).
BTSP: Final = "0.4.0.2023.1.1"
QC_TIME_STAMP: Final = "0.4.0.19422.1.1"

# Policies of a test installation. The enterprise number 32473 is kept for documentation (RFC 5612):
# nobody can take such a certificate for one of a real policy. A real installation names its own
# arc in the settings.
TEST_ARC: Final = "1.3.6.1.4.1.32473.994.1"
TEST_POLICY_SIGN: Final = f"{TEST_ARC}.1"
TEST_POLICY_AUTHENTICATE: Final = f"{TEST_ARC}.2"
TEST_POLICY_TIME_STAMPING_UNIT: Final = f"{TEST_ARC}.3"
TEST_POLICY_TIME_STAMP: Final = f"{TEST_ARC}.4"
TEST_POLICY_AUTHORITY: Final = f"{TEST_ARC}.5"
TEST_POLICY_CMP_SIGNER: Final = f"{TEST_ARC}.6"
TEST_POLICY_TRUSTED_LIST_SIGNER: Final = f"{TEST_ARC}.7"
TEST_POLICY_RSA_TIME_STAMP: Final = f"{TEST_ARC}.13"
TEST_POLICY_SEAL: Final = f"{TEST_ARC}.10"
TEST_POLICY_XROAD_AUTHENTICATE: Final = f"{TEST_ARC}.11"
TEST_POLICY_XROAD_SIGN: Final = f"{TEST_ARC}.12"
