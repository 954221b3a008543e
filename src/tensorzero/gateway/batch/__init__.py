"""Batch inference: the contract's feedback and workflows page, section 3."""
