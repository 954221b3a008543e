"""Model providers: one file for each type.

A provider turns a ``ModelRequest`` into a provider's own request and its answer back into a
``ProviderResponse`` or chunks. ``registry`` knows them by the config's ``type``.
"""
