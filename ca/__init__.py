"""Certification authority: vetting, issuance, revocation and CRLs."""
