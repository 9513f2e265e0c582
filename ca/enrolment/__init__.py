"""Certificate management over the wire: CMP (RFC 9810) in its lightweight profile (RFC 9483)."""
