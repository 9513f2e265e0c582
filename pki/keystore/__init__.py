"""Key stores: private keys that sign and are never given out."""
