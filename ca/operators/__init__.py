"""Who may ask the certification authority for what: operators, their roles and the gate."""
