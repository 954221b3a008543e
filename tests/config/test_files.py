"""Which files are read, and how several become one configuration."""

from __future__ import annotations

import os

import pytest

from config.folder import DUMMY, Folder, chat
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load, load_default


def names(config_files: tuple[str, ...]) -> list[str]:
    return [os.path.basename(file) for file in config_files]


def test_a_glob_without_match_is_named(folder: Folder) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load("nope.toml", environ={})
    assert str(caught.value) == (
        "Error using glob: `nope.toml`: No files matched the glob pattern. Ensure that the path "
        "exists, and contains at least one file."
    )


def test_a_star_stays_in_its_folder_and_two_stars_cross(folder: Folder) -> None:
    folder.write({"a.toml": "", "sub/b.toml": "", "sub/deep/c.toml": "", "d.txt": "no toml = ["})
    assert names(folder.load(pattern="*.toml").files) == ["a.toml"]
    assert names(folder.load(pattern="**/*.toml").files) == ["a.toml", "b.toml", "c.toml"]
    assert names(folder.load(pattern="sub/**/*.toml").files) == ["b.toml", "c.toml"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ab].toml", ["a.toml", "b.toml"]),
        ("[!a].toml", ["b.toml", "c.toml"]),
        ("[b-c].toml", ["b.toml", "c.toml"]),
        ("{a,c}.toml", ["a.toml", "c.toml"]),
        ("?.toml", ["a.toml", "b.toml", "c.toml"]),
        ("a.toml", ["a.toml"]),
        (r"x\*.toml", ["x*.toml"]),
    ],
)
def test_metacharacters(folder: Folder, pattern: str, expected: list[str]) -> None:
    folder.write({"a.toml": "", "b.toml": "", "c.toml": "", "x*.toml": "", "xy.toml": ""})
    assert names(folder.load(pattern=pattern).files) == expected


def test_a_bad_glob_is_an_error_not_a_crash(folder: Folder) -> None:
    for pattern in ("{a.toml", "[z-a].toml"):
        with pytest.raises(ConfigErrors) as caught:
            folder.load(pattern=pattern)
        assert "Error using glob" in str(caught.value)


def test_a_glob_relative_to_the_working_directory(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write({"a.toml": "", "sub/b.toml": ""})
    monkeypatch.chdir(folder.path)
    assert load("*.toml", environ={}).files == ("a.toml",)
    assert load("./*.toml", environ={}).files == ("a.toml",)
    assert load("**/*.toml", environ={}).files == ("a.toml", "sub/b.toml")


def test_kubernetes_mounts_are_read_once(folder: Folder) -> None:
    folder.write({"..2026_01/a.toml": chat()})
    (folder.path / "..data").symlink_to("..2026_01")
    (folder.path / "a.toml").symlink_to("..data/a.toml")
    assert names(folder.load(pattern="**/*.toml").files) == ["a.toml"]


def test_links_to_folders_are_not_followed(folder: Folder) -> None:
    folder.write({"real/a.toml": ""})
    (folder.path / "link").symlink_to("real")
    assert names(folder.load(pattern="**/*.toml").files) == ["a.toml"]


def test_an_empty_file_is_legal(folder: Folder) -> None:
    assert folder.load("").functions == {}
    assert load_default(environ={}).snapshot.hash == folder.load("# nothing\n").snapshot.hash


def test_files_add_to_each_others_tables(folder: Folder) -> None:
    folder.write(
        {
            "a.toml": "[gateway]\ndebug = true\n" + chat(),
            "b.toml": '[gateway]\nbase_path = "/x"\n[functions.g]\ntype = "chat"\nvariants = {}\n'
            f"[functions.f.variants.w]\n{DUMMY}",
        }
    )
    config = folder.load(pattern="*.toml")
    assert config.gateway.debug and config.gateway.base_path == "/x"
    assert list(config.functions) == ["f", "g"]
    assert list(config.functions["f"].variants) == ["v", "w"]


def test_a_value_given_twice_names_both_files_even_when_equal(folder: Folder) -> None:
    folder.write({"a.toml": "[gateway]\ndebug = true", "b.toml": "[gateway]\ndebug = true"})
    (error,) = folder.errors(pattern="*.toml")
    assert error == (
        "`gateway.debug`: Found duplicate values in globbed TOML config files "
        f"`{folder.path}/a.toml` and `{folder.path}/b.toml`"
    )


def test_arrays_cannot_be_split_over_files(folder: Folder) -> None:
    rules = "[[rate_limiting.rules]]\npriority = 1\n"
    folder.write({"a.toml": rules, "b.toml": rules})
    (error,) = folder.errors(pattern="*.toml")
    assert "`rate_limiting.rules`: Found duplicate values" in error


def test_a_value_cannot_be_merged_into_a_table(folder: Folder) -> None:
    folder.write({"a.toml": "[outer]\nx = 1", "b.toml": 'outer = "text"'})
    (error,) = folder.errors(pattern="*.toml")
    assert "`outer`: Cannot merge `string` from file" in error
    assert f"into a table from file `{folder.path}/a.toml`" in error


def test_every_conflict_and_every_broken_file_is_reported(folder: Folder) -> None:
    folder.write(
        {
            "a.toml": "[gateway]\ndebug = true\nbase_path = '/a'",
            "b.toml": "[gateway]\ndebug = true\nbase_path = '/a'",
            "c.toml": "= nothing",
            "d.toml": b"\xff\xfe",
        }
    )
    errors = folder.errors(pattern="*.toml")
    assert len(errors) == 4
    assert "c.toml" in errors[2] and "d.toml" in errors[3]


def test_a_toml_error_names_file_line_and_column(folder: Folder) -> None:
    error = folder.error("[gateway]\n\ndebug = yes\n")
    assert error.startswith("Failed to parse config file as valid TOML: ")
    assert "tensorzero.toml" in error and "line 3, column 9" in error


def test_a_duplicate_table_or_key_in_one_file_is_called_that(folder: Folder) -> None:
    error = folder.error("[models.m]\nrouting = []\n[models.m]\nrouting = []\n")
    assert "duplicate key `models.m`" in error and "line 3" in error
    error = folder.error("[gateway]\ndebug = true\ndebug = false\n\n")
    assert "duplicate key `debug`" in error


@pytest.mark.parametrize(
    "toml",
    ["a = " + "[" * 5000, "a = " + "9" * 5000, 'a = "\\ud800"', "a = {b = 1, b = 2}", "[a\n"],
)
def test_hostile_toml_is_an_error_not_a_crash(folder: Folder, toml: str) -> None:
    assert "Failed to parse config file as valid TOML" in folder.error(toml)


def test_toml_1_1(folder: Folder) -> None:
    config = folder.load(
        "[functions.f]\ntype = 'chat'\n[functions.f.variants.v]\ntype = 'chat_completion'\n"
        "model = 'dummy::text'\n"
        "retries = {\n  num_retries = 2, # a comment\n  max_delay_s = 1.5,\n}\n"
        'stop_sequences = ["\\x41\\e"]\n'
    )
    variant = config.functions["f"].variants["v"]
    assert variant.retries.num_retries == 2  # type: ignore[union-attr]  # a chat completion
    assert variant.params.stop_sequences == ("A\x1b",)  # type: ignore[union-attr]  # as above


def test_a_byte_order_mark_is_skipped(folder: Folder) -> None:
    assert folder.load("\ufeff[gateway]\ndebug = true").gateway.debug


def test_errors_name_the_file_that_holds_the_key(folder: Folder) -> None:
    folder.write(
        {
            "a.toml": chat(),
            "b.toml": "[functions.f.variants.v]\nwrong = 1\n",
            "c.toml": "[metrics.m]\ntype = 'boolean'\n",
        }
    )
    errors = folder.errors(pattern="*.toml")
    by_file = {line.rpartition("/")[2].rstrip(")"): line for line in errors}
    assert "unknown field `wrong`" in by_file["b.toml"]
    assert "metrics.m: missing field `level`" in by_file["c.toml"]
