"""A validation report in the forms that its readers want, be they programs or people."""
