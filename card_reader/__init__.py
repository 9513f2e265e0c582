"""The component on the citizen's own computer: readers, cards and PINs."""
