"""The audit log outside its database: anchored by time stamps, exported, proven by its export."""
