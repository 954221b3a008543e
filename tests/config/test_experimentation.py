"""Experimentation sections, legacy weights, namespaces."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, Folder, openai
from tensorzero.config.experimentation import (
    ExperimentationConfig,
    StaticExperimentation,
    UniformExperimentation,
)

METRIC = "[metrics.m]\ntype = 'boolean'\noptimize = 'max'\nlevel = 'inference'\n"


def function(experimentation: str, *variants: str, keys: str = "") -> str:
    """A function with variants a, b, c (or others)."""
    parts = ["[functions.f]\ntype = 'chat'\n", keys]
    parts += [f"[functions.f.variants.{name}]\n{DUMMY}" for name in variants or ("a", "b", "c")]
    return "".join(parts) + (
        f"[functions.f.experimentation]\n{experimentation}\n" if experimentation else ""
    )


def weighted(**weights: float | None) -> str:
    parts = ["[functions.f]\ntype = 'chat'\n"]
    for name, weight in weights.items():
        line = "" if weight is None else f"weight = {weight}\n"
        parts.append(f"[functions.f.variants.{name}]\n{DUMMY}{line}")
    return "".join(parts)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("candidate_variants = ['a']", "functions.f.experimentation: missing tag field `type`"),
        ("type = 'x'", "functions.f.experimentation: unknown variant `x`"),
        ("type = 'static'", "at least one candidate or fallback variant is needed"),
        ("type = 'static'\ncandidate_variants = []", "at least one candidate or fallback"),
        ("type = 'static'\ncandidate_variants = ['z']", "candidate_variants: unknown variant `z`"),
        ("type = 'static'\nfallback_variants = ['z']", "fallback_variants: unknown variant `z`"),
        ("type = 'static'\ncandidate_variants = ['a', 'a']", "variant `a` is listed twice"),
        ("type = 'static'\nfallback_variants = ['a', 'a']", "variant `a` is listed twice"),
        (
            "type = 'static'\ncandidate_variants = ['a']\nfallback_variants = ['a']",
            "fallback_variants: variant `a` is a candidate too",
        ),
        ("type = 'static'\ncandidate_variants = {a = -1}", "candidate_variants.a: the weight must"),
        ("type = 'static'\ncandidate_variants = {a = nan}", "expected a finite number"),
        ("type = 'static'\ncandidate_variants = {a = inf}", "expected a finite number"),
        ("type = 'static'\ncandidate_variants = {a = 'x'}", "candidate_variants.a: invalid type"),
        ("type = 'static'\ncandidate_variants = 'a'", "candidate_variants: invalid type"),
        ("type = 'static'\ncandidate_variants = [1]", "candidate_variants: invalid type"),
        ("type = 'adaptive'", "functions.f.experimentation: missing field `metric`"),
        ("type = 'adaptive'\nmetric = 'nope'", "metric: unknown metric `nope`"),
        ("type = 'adaptive'\nmetric = 'm'\ncandidate_variants = []", "at least one candidate"),
        (
            "type = 'adaptive'\nmetric = 'm'\ncandidate_variants = ['a']\ndelta = 1",
            "delta: expected a number above 0 and below 1",
        ),
        (
            "type = 'adaptive'\nmetric = 'm'\ncandidate_variants = ['a', 'b']\nmin_prob = 0.6",
            "`min_prob` times the number of candidates",
        ),
        (
            "type = 'adaptive'\nmetric = 'm'\ncandidate_variants = ['a']\n"
            "max_samples_per_variant = 5",
            "max_samples_per_variant: must be at least `min_samples_per_variant`, 10",
        ),
        (
            "type = 'adaptive'\nmetric = 'm'\ncandidate_variants = ['a']\nalgorithm = 'x'",
            "algorithm: unknown variant `x`, expected `track_and_stop`",
        ),
        (
            "type = 'adaptive'\nmetric = 'm'\ncandidate_variants = ['a', 'b']",
            '`type = "adaptive"` is not provided by this version yet',
        ),
        ("type = 'static'\ncandidate_variants = ['a']\nnamespaces.x = {}", "missing tag field"),
        (
            "type = 'static'\ncandidate_variants = ['a']\n"
            "namespaces.'' = {type = 'static', candidate_variants = ['a']}",
            "Namespace identifier cannot be empty",
        ),
        (
            "type = 'static'\ncandidate_variants = ['a']\n"
            "namespaces.'tensorzero::x' = {type = 'static', candidate_variants = ['a']}",
            "Namespace cannot start with `tensorzero::`: tensorzero::x",
        ),
    ],
)
def test_a_fault_in_an_experimentation(folder: Folder, keys: str, text: str) -> None:
    errors = folder.errors(METRIC + function(keys))
    assert any(text in line for line in errors), errors


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", None),
        (
            "type = 'static'\ncandidate_variants = ['b', 'a']\nfallback_variants = ['c']",
            StaticExperimentation((("a", 1.0), ("b", 1.0)), ("c",)),
        ),
        (
            "type = 'static'\ncandidate_variants = {b = 0, a = 2}",
            StaticExperimentation((("a", 2.0), ("b", 0.0))),
        ),
        (
            "type = 'static_weights'\ncandidate_variants = {a = 1}",
            StaticExperimentation((("a", 1.0),)),
        ),
        ("type = 'uniform'", UniformExperimentation()),
        ("type = 'uniform'\nfallback_variants = ['a']", StaticExperimentation((), ("a",))),
    ],
)
def test_what_a_section_means(
    folder: Folder, keys: str, expected: StaticExperimentation | UniformExperimentation | None
) -> None:
    config = folder.load(function(keys))
    wanted = None if expected is None else ExperimentationConfig(expected)
    assert config.functions["f"].experimentation == wanted
    deprecated = [line for line in config.warnings if line.startswith("Deprecation Warning")]
    assert len(deprecated) == ("uniform" in keys or "static_weights" in keys)


def test_unknown_keys_of_a_section_are_a_warning(folder: Folder) -> None:
    config = folder.load(function("type = 'static'\ncandidate_variants = ['a']\nnew = 1"))
    assert any("experimentation.new: unknown field `new`" in line for line in config.warnings)


def test_legacy_weights(folder: Folder) -> None:
    config = folder.load(weighted(a=2, b=0, d=None, c=None))
    section = config.functions["f"].experimentation
    assert section == ExperimentationConfig(StaticExperimentation((("a", 2.0),), ("c", "d")))
    (warning,) = config.warnings
    assert warning.startswith("Deprecation Warning: variant `weight` is deprecated")
    assert "`f`" in warning


def test_weights_and_a_section_exclude_each_other(folder: Folder) -> None:
    toml = weighted(a=1) + (
        "[functions.f.experimentation]\ntype = 'static'\ncandidate_variants = ['a']\n"
    )
    assert (
        "Cannot mix `experimentation` configuration with individual variant `weight` values."
        in folder.error(toml)
    )


def test_several_functions_share_one_weight_warning(folder: Folder) -> None:
    toml = weighted(a=1) + weighted(a=1).replace("functions.f", "functions.g")
    (warning,) = folder.load(toml).warnings
    assert "(functions `f`, `g`)" in warning


def namespaced(variants: str, experimentation: str = "") -> str:
    return (
        openai().replace("routing", "namespace = 'x'\nrouting")
        + f"[functions.f]\ntype = 'chat'\n{variants}"
        + (f"[functions.f.experimentation]\n{experimentation}\n" if experimentation else "")
    )


A = "[functions.f.variants.a]\ntype = 'chat_completion'\nmodel = 'm'\n"
A_OWN = f"[functions.f.variants.a]\n{DUMMY}namespace = 'x'\n"
B = f"[functions.f.variants.b]\n{DUMMY}"
BEST = (
    "[functions.f.variants.best]\ntype = 'experimental_best_of_n_sampling'\n"
    "candidates = ['a']\nevaluator = {model = 'dummy::text'}\n"
)
JUDGED = BEST.replace("['a']", "['b']").replace("dummy::text", "m")
ONLY_B = "type = 'static'\ncandidate_variants = ['b']\n"


@pytest.mark.parametrize(
    ("variants", "experimentation", "text"),
    [
        (A, "", "variant `a` of function `f` uses model `m`, which has namespace `x`"),
        (A + B, "type = 'uniform'", "can be reached from the base experimentation"),
        (A + B, "type = 'static'\ncandidate_variants = ['b']\nfallback_variants = ['a']", "base"),
        (A + B, "type = 'static'\ncandidate_variants = {a = 0, b = 1}", "base experimentation"),
        (
            A + B,
            f"{ONLY_B}namespaces.y = {{type = 'static', candidate_variants = ['a']}}",
            "can be reached from namespace `y`",
        ),
        (A_OWN, "", "variant `a` of function `f` has namespace `x`"),
        (
            A + B + BEST,
            "type = 'static'\ncandidate_variants = ['best']",
            "variant `best` of function `f` uses model `m`, which has namespace `x` (through its "
            "candidate `a`)",
        ),
        (
            A_OWN + B + BEST,
            "type = 'static'\ncandidate_variants = ['best']",
            "variant `best` of function `f` uses variant `a`, which has namespace `x`",
        ),
        (B + JUDGED, "", "variant `best` of function `f` uses model `m`"),
    ],
)
def test_namespaced_things_are_not_reached_from_elsewhere(
    folder: Folder, variants: str, experimentation: str, text: str
) -> None:
    errors = folder.errors(namespaced(variants, experimentation))
    assert any(text in line for line in errors), errors


@pytest.mark.parametrize(
    ("variants", "experimentation"),
    [
        (A + B, ONLY_B),
        (A_OWN + B, ONLY_B),
        (A + B, f"{ONLY_B}namespaces.x = {{type = 'static', candidate_variants = ['a']}}"),
        (
            A + A_OWN.replace(".a]", ".c]") + B + BEST,
            f"{ONLY_B}namespaces.x = {{type = 'static', candidate_variants = ['best', 'c']}}",
        ),
        (B, ""),
    ],
)
def test_namespaced_things_in_their_place_load(
    folder: Folder, variants: str, experimentation: str
) -> None:
    assert folder.errors(namespaced(variants, experimentation)) == []


def test_weight_zero_keeps_a_namespaced_variant_out_of_the_base(folder: Folder) -> None:
    toml = namespaced(A + "weight = 0\n" + B + "weight = 1\n")
    assert folder.errors(toml) == []
