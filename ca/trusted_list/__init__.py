"""The scheme's trusted list: which services are granted, since when, signed (TS 119 612)."""
