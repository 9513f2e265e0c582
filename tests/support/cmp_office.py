"""A CMP office for tests, over the CA of `ca_world`, and a client that builds its own messages."""

import dataclasses
import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.enrolment import (
    conversation,
    messages,
    protection,
    references,
    signer,
)
from ca.renewal import settings as renewal_settings
from pki import algorithms, certificates, der, der_types, signature
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key

INSTALLATION_SECRET = b"0123456789abcdef0123456789abcdef"
VALIDITY = datetime.timedelta(days=1)


@dataclasses.dataclass
class Office:
    """An office and the CA behind it."""

    world: ca_world.World
    office: conversation.Office

    def reference(
        self, *, reusable: bool = True, profile: str = "authenticate"
    ) -> tuple[bytes, bytes]:
        """A new reference for a new application of the citizen, and its secret."""
        application = self.world.application()
        with self.world.sessions() as session:
            made = references.record_reference(
                session,
                application,
                profile,
                VALIDITY,
                self.world.at,
                actor="test",
                reusable=reusable,
                test=True,
            )
            session.commit()
        return made.reference.encode(), self.office.secrets.of(made.reference)

    def answer(self, message_der: bytes, at: datetime.datetime | None = None) -> bytes:
        """What the office answers."""
        return conversation.answer(message_der, self.office, at or self.world.at)


ANY_TIME = renewal_settings.Settings(window=datetime.timedelta(days=3650), self_service=True)
"""As in a sandbox: a certificate of this morning is renewed, wherever it was certified."""


def make_office(world: ca_world.World, renewal: renewal_settings.Settings = ANY_TIME) -> Office:
    """Open an office over a CA."""
    current = signer.CurrentSigner(world.sessions, world.keys, world.hierarchy, world.at)
    secrets_ = references.Secrets(INSTALLATION_SECRET)
    office = conversation.Office(world.sessions, world.hierarchy, secrets_, current, renewal)
    return Office(world, office)


MAC = protection.PasswordBasedMac(
    b"0123456789abcdef", "2.16.840.1.101.3.4.2.1", 500, "1.3.6.1.5.5.8.1.2"
)


@dataclasses.dataclass
class Client:
    """Builds protected messages; every field of a message can be changed.

    Attributes:
        reference: With `secret`, for a MAC.
        certificate_der: With `key`, for a signature.
    """

    at: datetime.datetime
    reference: bytes | None = None
    secret: bytes = b""
    certificate_der: bytes | None = None
    key: algorithms.PrivateKey | None = None
    mac: protection.PasswordBasedMac = MAC

    def header(self, **changes: object) -> messages.PKIHeader:
        """A header for a first message."""
        header = messages.PKIHeader(
            version=2,
            sender=messages.null_name(),
            recipient=messages.null_name(),
            transaction_id=secrets.token_bytes(16),
            sender_nonce=secrets.token_bytes(16),
            at=self.at,
        )
        return dataclasses.replace(header, **changes)  # type: ignore[arg-type]

    def protect(self, header: messages.PKIHeader, body: bytes) -> bytes:
        """A whole message."""
        if self.certificate_der is None:
            return protection.protect_mac(
                header, body, self.mac, self.reference or b"", self.secret
            )
        assert self.key is not None
        certificate = certificates.parse(self.certificate_der)
        own = protection.Signer(
            MemoryKey("client", self.key),
            certificate.subject.public_bytes(),
            certificates.read(certificate).subject_key_identifier or b"",
            (self.certificate_der,),
        )
        named = dataclasses.replace(header, sender=messages.directory_name(own.name))
        return protection.protect_signed(named, body, own)

    def request(self, kind: messages.BodyType, content: bytes, **changes: object) -> bytes:
        """A first message with that body."""
        return self.protect(self.header(**changes), messages.encode_body(kind, content))


def cert_request(
    key: algorithms.PrivateKey,
    *,
    subject: x509.Name | None = None,
    cert_req_id: int = 0,
    template_key: algorithms.PublicKey | None = None,
    controls: bytes = b"",
    with_proof: bool = True,
    proof_key: algorithms.PrivateKey | None = None,
) -> bytes:
    """The content of an ir, cr or kur."""
    spki = der.read(
        (template_key or key.public_key()).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    template = der.encode(
        der.SEQUENCE,
        b"" if subject is None else der.encode(0xA5, subject.public_bytes()),
        der.encode(0xA6, spki.content),
    )
    request = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(cert_req_id),
        template,
        der.encode(der.SEQUENCE, controls) if controls else b"",
    )
    proof = b""
    if with_proof:
        value = sign(proof_key or key, request)
        proof = der.encode(
            0xA1,
            der_types.encode_signature_algorithm(value),
            der.encode(der.BIT_STRING, b"\x00", value.encoded_for_cms()),
        )
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, request, proof))


def sign(key: algorithms.PrivateKey, data: bytes) -> signature.SignatureValue:
    """A signature with the hash that fits the key."""
    kind = algorithms.key_kind(key.public_key())
    return MemoryKey("client", key).sign(signature.represent(data, kind.hash_algorithm))


def confirmation(cert_hash: bytes, *, cert_req_id: int = 0, status: int | None = None) -> bytes:
    """The content of a certConf."""
    said = b""
    if status is not None:
        said = der.encode(der.SEQUENCE, der_types.encode_integer(status))
    entry = der.encode(
        der.SEQUENCE,
        der.encode(der.OCTET_STRING, cert_hash),
        der_types.encode_integer(cert_req_id),
        said,
    )
    return der.encode(der.SEQUENCE, entry)


def revocation(certificate_der: bytes, reason: int | None = None) -> bytes:
    """The content of an rr."""
    certificate = certificates.parse(certificate_der)
    number = der.read(der_types.encode_integer(certificate.serial_number)).content
    template = der.encode(
        der.SEQUENCE,
        der.encode(0x81, number),
        der.encode(0xA3, certificate.issuer.public_bytes()),
    )
    extensions = b""
    if reason is not None:
        value = der.encode(0x0A, bytes((reason,)))
        extensions = der_types.encode_extensions((der_types.Extension("2.5.29.21", False, value),))
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, template, extensions))


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key for a subscriber."""
    key = make_key(algorithms.KeyKind.P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def enrolled(office: Office, **options: object) -> tuple[Client, ec.EllipticCurvePrivateKey, bytes]:
    """A client with a certificate of its own: the client, its key, the certificate."""
    reference, secret = office.reference()
    client = Client(office.world.at, reference, secret)
    key = new_key()
    sent = client.request(
        messages.BodyType.ir, cert_request(key), **{"implicit_confirm": True, **options}
    )
    certificate_der = issued_certificate(office.answer(sent))
    return Client(office.world.at, certificate_der=certificate_der, key=key), key, certificate_der


def issued_certificate(answer_der: bytes) -> bytes:
    """The certificate in an ip, cp or kup."""
    status, certificate_der = cert_response(messages.parse_message(answer_der))
    assert status in (0, 1)
    assert certificate_der is not None
    return certificate_der


def cert_response(message: messages.PKIMessage) -> tuple[int, bytes | None]:
    """Status and certificate of an ip, cp or kup."""
    fields = der_types.Fields(message.body)
    fields.take_optional(0xA1)
    response = der_types.Fields(fields.take().children()[0])
    response.take()  # certReqId
    status = der_types.decode_integer(der_types.Fields(response.take()).take())
    pair = response.take_optional(der.SEQUENCE)
    if pair is None:
        return status, None
    inside = der_types.unwrap(pair.children()[0], 0xA0)
    return status, der.encode(inside.tag, inside.content)


def failure(answer_der: bytes) -> str | None:
    """The name of the failure that an answer tells, in whatever body; None for a success."""
    message = messages.parse_message(answer_der)
    kind = messages.BodyType(message.body_tag)
    if kind is messages.BodyType.error:
        info = message.body.children()[0]
    elif kind is messages.BodyType.rp:
        info = message.body.children()[0].children()[0]
    elif kind in (messages.BodyType.ip, messages.BodyType.cp, messages.BodyType.kup):
        responses = der_types.Fields(message.body)
        responses.take_optional(0xA1)
        info = responses.take().children()[0].children()[1]
    else:
        return None
    bits = [one.content for one in info.children() if one.tag == der.BIT_STRING]
    if not bits:
        return None
    number = int.from_bytes(bits[0][1:], "big") >> bits[0][0]
    assert number & 1
    (found,) = [
        one.name
        for one in messages.FailureInfo
        if one.value == (len(bits[0]) - 1) * 8 - bits[0][0] - 1
    ]
    return found
