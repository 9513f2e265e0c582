"""A zone as processes: one that does everything, or workers behind one port."""
