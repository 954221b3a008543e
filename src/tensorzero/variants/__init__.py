"""Variants: strategies that turn an input into model calls and their results."""
