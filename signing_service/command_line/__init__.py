"""What validation and augmentation are at a terminal."""
