"""Several key stores as one."""

from collections.abc import Mapping

from pki import algorithms
from pki.keystore import store


class StoresByLabel:
    """The prefix of a label says whose key it is.

    Used where the hierarchy is made, so that responders and time-stamping units get their keys in
    stores of their own and never hold an authority's.
    """

    def __init__(self, own: store.KeyStore, elsewhere: Mapping[str, store.KeyStore]) -> None:
        """Take a zone's own store, and others by the prefix of the labels that are theirs."""
        self._own = own
        self._elsewhere = elsewhere

    def generate(self, label: str, kind: algorithms.KeyKind) -> store.KeyHandle:
        """Make a key in the store that the label belongs to."""
        return self._of(label).generate(label, kind)

    def open_key(self, label: str) -> store.KeyHandle:
        """Open a key in the store that the label belongs to."""
        return self._of(label).open_key(label)

    def describe_key(self, label: str) -> store.KeyAttributes:
        """Read a key's attributes back."""
        return self._of(label).describe_key(label)

    def labels(self) -> tuple[str, ...]:
        """The labels of all stores, sorted."""
        every = (self._own, *self._elsewhere.values())
        return tuple(sorted(label for one in every for label in one.labels()))

    def close(self) -> None:
        """Close every store."""
        for one in (self._own, *self._elsewhere.values()):
            one.close()

    def _of(self, label: str) -> store.KeyStore:
        for prefix, one in self._elsewhere.items():
            if label.startswith(prefix):
                return one
        return self._own
