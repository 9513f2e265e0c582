"""What was found in a document before it was judged."""
