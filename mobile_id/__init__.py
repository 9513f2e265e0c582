"""Mobile signatures: the gateway, its client and the phone's side of it."""
