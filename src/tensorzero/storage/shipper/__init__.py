"""The shipper: takes rows from the spool to the database, each exactly once."""
