"""CMS as strangers write it: BER, keys, attributes, values; for CAdES, PDF and time stamps."""
