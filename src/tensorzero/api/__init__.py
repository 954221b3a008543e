"""HTTP: routes, statuses, errors, event streams. The use cases are in ``gateway``."""
