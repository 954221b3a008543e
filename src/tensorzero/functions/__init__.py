"""Functions: what goes in is checked against schemas, what comes out is parsed and checked."""
