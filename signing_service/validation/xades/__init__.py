"""XAdES signatures of an XML document, and what their properties say."""
