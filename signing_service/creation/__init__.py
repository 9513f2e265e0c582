"""Makes signatures: one module for each format, and the pieces that they are made of."""
