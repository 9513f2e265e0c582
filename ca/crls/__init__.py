"""Certificate revocation lists: full, delta and partitioned, from stored entries (RFC 5280 5)."""
