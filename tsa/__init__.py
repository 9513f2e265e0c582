"""Time-Stamp Protocol (RFC 3161): messages, client and time-stamping authority."""
