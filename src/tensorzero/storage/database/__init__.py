"""The database: one protocol, an embedded engine and a remote one, clients for reading."""
