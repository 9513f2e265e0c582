"""The key that signs one transcript: made for it, in memory, and forgotten after it.

Nobody can sign a second transcript with it, not even who holds every token.
"""

from cryptography.hazmat.primitives.asymmetric import ec, utils

from pki import algorithms, signature


class TranscriptKey:
    """A P-384 key handle that lives as long as this object."""

    label = "transcript"

    def __init__(self) -> None:
        """Make the key."""
        self._key = ec.generate_private_key(ec.SECP384R1())

    def __repr__(self) -> str:
        """Say nothing of the key."""
        return "TranscriptKey()"

    @property
    def public_key(self) -> algorithms.PublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Sign a hash: ECDSA as raw r||s."""
        prehashed = utils.Prehashed(representation.hash_algorithm.hasher)
        der = self._key.sign(representation.hash, ec.ECDSA(prehashed))
        return signature.SignatureValue(
            algorithms.SignatureAlgorithm.ECDSA,
            representation.hash_algorithm,
            algorithms.ecdsa_der_to_raw(der, algorithms.ecdsa_size(self._key.public_key())),
        )
