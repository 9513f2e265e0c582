"""Renewal: a certificate's owner signs the request for the next one with its key."""
