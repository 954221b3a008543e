"""The use cases: one function for each verb. No HTTP in here."""
