"""Applications for certificates: who applied, who vetted and approved, and what was issued."""
