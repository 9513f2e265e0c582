"""Online Certificate Status Protocol (RFC 6960): messages, client and responder."""
