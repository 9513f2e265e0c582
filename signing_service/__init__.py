"""Sign, augment and validate documents."""
