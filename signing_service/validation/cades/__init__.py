"""CAdES signatures of strangers (EN 319 122-1), and the CMS they are made of (RFC 5652)."""
