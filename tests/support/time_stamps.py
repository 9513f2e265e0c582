"""Time-stamp tokens made with asn1crypto, for tests that need no authority."""

import datetime
import hashlib

from asn1crypto import algos, cms, core
from asn1crypto import tsp as asn1_tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization

from pki import algorithms, signature
from tests.support import hierarchy

_DER = serialization.Encoding.DER


def time_stamp_token(
    unit: hierarchy.Holder,
    representation: signature.DataToBeSignedRepresentation,
    at: datetime.datetime,
    *,
    serial: int = 1,
) -> bytes:
    """A token of RFC 3161 with ESSCertIDv2, signed by the unit, with its chain but the root."""
    info = asn1_tsp.TSTInfo(
        {
            "version": "v1",
            "policy": "1.3.6.1.4.1.99999.2",
            "message_imprint": {
                "hash_algorithm": {"algorithm": representation.hash_algorithm.short_name},
                "hashed_message": representation.hash,
            },
            "serial_number": serial,
            "gen_time": at.replace(microsecond=0),
        }
    )
    kind = algorithms.key_kind(unit.key.public_key())
    hash_algorithm = kind.hash_algorithm
    certificate = asn1_x509.Certificate.load(unit.der)
    attributes = cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {
                "type": "message_digest",
                "values": [hash_algorithm.digest(info.dump())],
            },
            {
                "type": "signing_certificate_v2",
                "values": [
                    asn1_tsp.SigningCertificateV2(
                        {"certs": [{"cert_hash": hashlib.sha256(unit.der).digest()}]}
                    )
                ],
            },
        ]
    )
    data = attributes.dump()
    value = unit.handle.sign(signature.represent(data, hash_algorithm))
    name = (
        "sha256_rsa" if kind is algorithms.KeyKind.RSA3072 else f"{hash_algorithm.short_name}_ecdsa"
    )
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": hash_algorithm.short_name}],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(info.dump()),
            },
            "certificates": [
                asn1_x509.Certificate.load(one.public_bytes(_DER)) for one in unit.chain[:-1]
            ],
            "signer_infos": [
                {
                    "version": "v1",
                    "sid": cms.SignerIdentifier(
                        "issuer_and_serial_number",
                        cms.IssuerAndSerialNumber(
                            {
                                "issuer": certificate.issuer,
                                "serial_number": certificate.serial_number,
                            }
                        ),
                    ),
                    "digest_algorithm": {"algorithm": hash_algorithm.short_name},
                    "signed_attrs": attributes,
                    "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": name}),
                    "signature": value.encoded_for_cms(),
                }
            ],
        }
    )
    token: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return token
