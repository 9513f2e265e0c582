"""PKI disclosure statements: what an operator promises, in the languages of its people."""
