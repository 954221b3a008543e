"""Inferences with what became of them, as one wide table."""
