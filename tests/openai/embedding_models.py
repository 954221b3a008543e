"""The embedding models that the tests configure."""

from __future__ import annotations


def embedding_models(api_base: str) -> str:
    """TOML; providers of type ``openai`` call ``api_base``."""

    def served(path: str, name: str, rest: str = "") -> str:
        return (
            f'[embedding_models.{path}]\ntype = "openai"\nmodel_name = "{name}"\n'
            f'api_base = "{api_base}"\napi_key_location = "none"\n{rest}\n'
        )

    def routed(model: str, *providers: str, rest: str = "") -> str:
        names = ", ".join(f'"{name}"' for name in providers)
        return f"[embedding_models.{model}]\nrouting = [{names}]\n{rest}\n"

    price = 'cost = [{ pointer = "/usage/prompt_tokens", cost_per_million = 2.0 }]'
    edits = (
        'extra_body = [{ pointer = "/user", value = "gateway" }]\n'
        'extra_headers = [{ name = "x-own", value = "yes" }]'
    )
    return "\n".join(
        [
            routed("small", "dummy"),
            '[embedding_models.small.providers.dummy]\ntype = "dummy"\nmodel_name = "embed?dims=8"',
            routed("ok", "p"),
            served("ok.providers.p", "embed", price),
            routed("edited", "p"),
            served("edited.providers.p", "embed", edits),
            routed("pair", "first", "second"),
            served("pair.providers.first", "status-500"),
            served("pair.providers.second", "embed"),
            routed("broken", "first", "second"),
            served("broken.providers.first", "status-401"),
            served("broken.providers.second", "garbage"),
            routed("slow", "p", rest="timeout_ms = 300"),
            '[embedding_models.slow.providers.p]\ntype = "dummy"\n'
            'model_name = "embed?latency_ms=60000"',
            routed("late", "first", "second"),
            '[embedding_models.late.providers.first]\ntype = "dummy"\n'
            'model_name = "embed?latency_ms=60000"\ntimeout_ms = 200',
            served("late.providers.second", "embed"),
            routed("keyed", "p"),
            served("keyed.providers.p", "embed").replace('"none"', '"dynamic::customer"'),
            routed("azure", "p"),
            '[embedding_models.azure.providers.p]\ntype = "azure"\ndeployment_id = "my dep"\n'
            'endpoint = "dynamic::where"\napi_key_location = "dynamic::customer"',
            routed("silent", "p"),
            '[embedding_models.silent.providers.p]\ntype = "dummy"\n'
            'model_name = "embed?dims=2&usage=none"',
            routed("failing", "p"),
            '[embedding_models.failing.providers.p]\ntype = "dummy"\n'
            'model_name = "error?status=429&message=slow+down"',
        ]
    )
