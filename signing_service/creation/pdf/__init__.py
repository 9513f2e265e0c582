"""What a PDF is made of, as far as a signature touches it: structure, places, appearance."""
