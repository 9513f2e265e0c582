"""The nightly examination of everything that is stored: `imza ca check`."""
