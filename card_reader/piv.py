"""Names and numbers of the PIV card application (NIST SP 800-73-4), card and host side alike."""

import enum

APPLICATION_ID = bytes.fromhex("A000000308000010000100")
"""SP 800-73-4 part 1, 2.2, with the version."""

APPLICATION_ID_PREFIX = APPLICATION_ID[:5]
"""The shortest name that selects the application: its registered provider (RID)."""

PIN_REFERENCE = 0x80
PUK_REFERENCE = 0x81
MANAGEMENT_KEY_REFERENCE = 0x9B

ALGORITHM_P256 = 0x11
ALGORITHM_AES256 = 0x0C
"""SP 800-78-4 table 6-2."""

DISCOVERY_OBJECT = 0x7E
CARDHOLDER_ID_OBJECT = 0x5FC102
CAPABILITY_OBJECT = 0x5FC107

PIN_SIZE = 8
"""A PIN or PUK is padded with FF to eight bytes (SP 800-73-4 part 2, 2.4.3)."""

TRANSPORT_MANAGEMENT_KEY = bytes.fromhex("0102030405060708" * 4)
TRANSPORT_PIN = "123456"
TRANSPORT_PUK = "12345678"
"""What a blank card leaves the factory with: public values, all replaced by personalisation."""


class KeySlot(enum.IntEnum):
    """A private key's place on the card (SP 800-73-4 part 1, 3)."""

    AUTHENTICATION = 0x9A
    SIGNATURE = 0x9C

    @property
    def certificate_object(self) -> int:
        """The data object that holds the key's certificate."""
        return 0x5FC105 if self is KeySlot.AUTHENTICATION else 0x5FC10A
