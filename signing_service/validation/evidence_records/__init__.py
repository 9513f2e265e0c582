"""Evidence records: one time stamp that proves the existence of many data objects."""
