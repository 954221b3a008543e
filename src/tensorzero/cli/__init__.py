"""The command ``tensorzero`` and its subcommands."""
