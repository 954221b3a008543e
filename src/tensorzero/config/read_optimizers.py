"""Reads ``[optimizers.*]``: keys only, jobs are started elsewhere.

Source: the contract's configuration page, section 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorzero.config.paths import LoadedFile
from tensorzero.config.reader import Table

_OPENAI = ("batch_size", "learning_rate_multiplier", "n_epochs", "seed", "suffix")
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dicl": (
        ("embedding_model", "variant_name", "function_name"),
        (
            "dimensions",
            "batch_size",
            "max_concurrency",
            "k",
            "model",
            "append_to_existing_variants",
        ),
    ),
    "openai_sft": (("model",), _OPENAI),
    "openai_rft": (
        ("model",),
        (
            *_OPENAI,
            *("grader", "response_format", "compute_multiplier", "eval_interval"),
            *("eval_samples", "reasoning_effort"),
        ),
    ),
    "fireworks_sft": (
        ("model",),
        (
            *("early_stop", "epochs", "learning_rate", "max_context_length", "lora_rank"),
            *("batch_size", "display_name", "output_model", "warm_start_from", "is_turbo"),
            *("eval_auto_carveout", "nodes", "mtp_enabled", "mtp_num_draft_tokens"),
            *("mtp_freeze_base_model", "deploy_after_training"),
        ),
    ),
    "gcp_vertex_gemini_sft": (
        ("model",),
        (
            *("learning_rate_multiplier", "adapter_size", "n_epochs", "seed"),
            *("export_last_checkpoint_only", "tuned_model_display_name"),
        ),
    ),
    "together_sft": (
        ("model",),
        (
            *("n_epochs", "n_checkpoints", "n_evals", "batch_size", "learning_rate"),
            *("warmup_ratio", "max_grad_norm", "weight_decay", "suffix", "lr_scheduler"),
            *("wandb_name", "training_method", "training_type", "from_checkpoint"),
            *("from_hf_model", "hf_model_revision", "hf_output_repo_name"),
        ),
    ),
    "gepa": (
        ("function_name", "analysis_model", "mutation_model"),
        (
            *("evaluator_names", "evaluation_name", "initial_variants", "variant_prefix"),
            *("seed", "retries", "max_tokens", "batch_size", "max_iterations"),
            *("max_concurrency", "timeout", "include_inference_for_mutation"),
        ),
    ),
}
"""Required (strings) and optional keys by type."""
_COUNTS = frozenset(
    {
        *("batch_size", "max_concurrency", "k", "dimensions", "n_epochs", "epochs", "seed"),
        *("n_checkpoints", "n_evals", "nodes", "lora_rank", "max_context_length"),
        *("eval_interval", "eval_samples", "max_iterations", "timeout", "max_tokens"),
    }
)
_RATES = frozenset(
    {
        *("learning_rate", "learning_rate_multiplier", "warmup_ratio", "max_grad_norm"),
        *("weight_decay", "compute_multiplier"),
    }
)
_SWITCHES = frozenset(
    {
        *("append_to_existing_variants", "early_stop", "is_turbo", "eval_auto_carveout"),
        *("mtp_enabled", "mtp_freeze_base_model", "deploy_after_training"),
        *("export_last_checkpoint_only", "include_inference_for_mutation"),
    }
)


def read_optimizers(root: Table) -> dict[str, Mapping[str, Any]]:
    """The sections by name, checked for their keys; what they name is not resolved at start."""
    out: dict[str, Mapping[str, Any]] = {}
    for name, table in root.tables("optimizers").items():
        kind = table.tag(tuple(_KEYS))
        if kind is None:
            continue
        required, optional = _KEYS[kind]
        for key in required:
            table.string(key, required=True)
        for key in optional:
            _read(table, kind, key)
        if kind == "gepa":
            _check_gepa(name, table)
        table.finish(tolerant=True)
        out[name] = {
            key: value for key, value in table.value.items() if not isinstance(value, LoadedFile)
        }
    return out


def _read(table: Table, kind: str, key: str) -> None:
    if key == "batch_size" and kind == "together_sft" and table.value.get(key) == "max":
        table.raw(key)
    elif key in _COUNTS:
        table.integer(key)
    elif key in _RATES:
        table.number(key)
    elif key in _SWITCHES:
        table.boolean(key)
    elif key in ("evaluator_names", "initial_variants"):
        table.strings(key)
    elif key == "grader":
        table.table(key, required=True)
    else:
        table.raw(key)
    if kind == "dicl" and key == "model" and key not in table.value:
        table.faults.warn(
            f"Deprecation Warning: {table.path}: `model` defaults to "
            "`openai::gpt-4o-mini-2024-07-18`, name the model"
        )


def _check_gepa(name: str, table: Table) -> None:
    evaluation = "evaluation_name" in table.value
    evaluators = table.value.get("evaluator_names")
    if evaluation:
        table.faults.warn(
            "Deprecation Warning: `evaluation_name` of GEPA optimizers is deprecated, use "
            "`evaluator_names`"
        )
    if evaluation and evaluators is not None:
        table.error(
            f"GEPA optimizer `{name}` cannot specify both `evaluation_name` and `evaluator_names`"
        )
    elif not evaluation and evaluators is None:
        table.error(
            f"GEPA optimizer `{name}` must specify exactly one of `evaluation_name` or "
            "`evaluator_names`"
        )
    elif evaluators == []:
        table.error(f"GEPA optimizer `{name}` must specify at least one evaluator name")
