"""The hash of a configuration: what changes it and what does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import tomli

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat, provider

FILES = {"p/t.txt": "Hi {{ user_text }}", "p/s.json": OBJECT_SCHEMA}
TOML = (
    chat(
        f"{DUMMY}temperature = 0.5\ntemplates.user.path = 'p/t.txt'", "schemas.user.path='p/s.json'"
    )
    + "[metrics.m]\ntype = 'boolean'\noptimize = 'max'\nlevel = 'inference'\n"
)


def digest(folder: Folder, toml: str = TOML, **files: str) -> str:
    return folder.load(toml, {**FILES, **files}).snapshot.hash


def test_the_hash_is_a_decimal_of_256_bits(folder: Folder) -> None:
    value = digest(folder)
    assert value.isdigit() and 0 < int(value) < 2**256


def test_formatting_order_and_comments_do_not_count(folder: Folder) -> None:
    other = (
        "# a comment\nmetrics = { m = { optimize = 'max', level = \"inference\", type = 'boolean' } }\n"
        "[functions]\nf.schemas.user.path = 'p/s.json'\nf.type = 'chat'\n"
        "[functions.f.variants.v]\ntemplates = { user = { path = './p/../p/t.txt' } }\n"
        "temperature = 0.5\nmodel = 'dummy::text'\ntype = 'chat_completion'\n"
    )
    assert digest(folder, other) == digest(folder)


def test_the_split_into_files_does_not_count(folder: Folder) -> None:
    whole = digest(folder)
    (folder.path / "tensorzero.toml").unlink()
    metrics = TOML.index("[metrics")
    folder.write({"z.toml": TOML[:metrics].replace("p/", "../p/"), "a.toml": TOML[metrics:]})
    (folder.path / "sub").mkdir()
    (folder.path / "z.toml").rename(folder.path / "sub" / "z.toml")
    assert folder.load(pattern="**/*.toml").snapshot.hash == whole


def test_the_place_of_the_folder_does_not_count(folder: Folder, tmp_path: Path) -> None:
    shared = "[gateway.template_filesystem_access]\nbase_path = 'shared'\n"
    files = {"p/t.txt": "{% include 'x' %}", "shared/x": "X"}
    here = digest(folder, shared + TOML, **files)
    shutil.copytree(folder.path, tmp_path / "else" / "where")
    assert Folder(tmp_path / "else" / "where").load().snapshot.hash == here
    assert digest(folder, shared + TOML, **{**files, "shared/x": "Y"}) != here


def test_the_environment_and_keys_do_not_count(folder: Folder) -> None:
    toml = provider("type='openai'\nmodel_name='x'\napi_key_location='env::K'")
    one = folder.load(toml, environ={"K": "1"}).snapshot
    two = folder.load(toml, environ={"K": "secret-two"}).snapshot
    assert one == two and "secret-two" not in two.toml
    assert folder.load(toml.replace("env::K", "env::L"), environ={"L": "1"}).snapshot != one


def test_every_setting_and_every_files_content_counts(folder: Folder) -> None:
    hashes = {
        digest(folder),
        digest(folder, TOML.replace("0.5", "0.6")),
        digest(folder, TOML.replace("'max'", "'min'")),
        digest(folder, TOML + "[gateway]\ndebug = true"),
        digest(folder, **{"p/t.txt": "Hi {{ user_text }}!"}),
        digest(folder, **{"p/s.json": OBJECT_SCHEMA + " "}),
    }
    assert len(hashes) == 6


def test_the_hash_is_the_same_in_every_process(folder: Folder) -> None:
    here = digest(folder)
    script = (
        "import sys; from tensorzero.config.load import load;"
        "print(load(sys.argv[1], environ={}).snapshot.hash)"
    )
    for seed in ("0", "1"):
        result = subprocess.run(
            [sys.executable, "-c", script, str(folder.path / "tensorzero.toml")],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            timeout=60,
        )
        assert result.stdout.strip() == here


def test_the_snapshot_is_toml_with_files_embedded(folder: Folder) -> None:
    odd = chat(f'{DUMMY}stop_sequences = ["\\u0000\\u007f\\"\\\\é"]').replace(
        "functions.f", 'functions."a.b é"'
    )
    config = folder.load(TOML + odd, FILES)
    stored = tomli.loads(config.snapshot.toml)
    variants = stored["functions"]
    assert variants["f"]["variants"]["v"]["templates"]["user"]["path"] == {
        "__tensorzero_remapped_path": "t.txt",
        "__data": FILES["p/t.txt"],
    }
    assert variants["a.b é"]["variants"]["v"]["stop_sequences"] == ['\x00\x7f"\\é']
    assert stored["metrics"]["m"]["level"] == "inference"
