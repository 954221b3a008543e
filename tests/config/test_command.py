"""``tensorzero check`` and ``tensorzero gateway``: exit status and what is printed."""

from __future__ import annotations

import os
import subprocess
import sys

from config.folder import DUMMY, Folder, chat
from config.test_examples import KEY, SERVED, copy_functions

FAULTS = "[gateway]\nbase_path = 'x'\n" + chat(
    f"{DUMMY}enable_agi = true\nsystem_template = 'missing'", "tools = ['t']"
)
EXPECTED = (
    "gateway.base_path: must start with `/`",
    "functions.f.variants.v.enable_agi: unknown field `enable_agi`",
    "`functions.f.variants.v.system_template`: Failed to resolve path `missing`",
    "`functions.f.tools`: tool `t` is not present in the config",
)


def run(
    folder: Folder, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TENSORZERO_") and not name.endswith("_API_KEY")
    }
    return subprocess.run(
        [sys.executable, "-m", "tensorzero.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder.path,
        check=False,
        # The tests may have been started with a relative path to the sources.
        env={**kept, **(environ or {}), "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_check_accepts_and_counts(folder: Folder) -> None:
    folder.write({"tensorzero.toml": chat()})
    result = run(folder, "check", "--config-file", "tensorzero.toml")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("ok: 1 file(s), 1 function(s), 0 model(s), hash ")


def test_check_prints_one_line_for_each_fault(folder: Folder) -> None:
    folder.write({"tensorzero.toml": FAULTS})
    result = run(folder, "check", "--config-file", "tensorzero.toml")
    assert result.returncode == 1 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == len(EXPECTED)
    for text in EXPECTED:
        (line,) = [line for line in lines if text in line]
        assert line.endswith("(in tensorzero.toml)")


def test_check_prints_warnings_and_can_leave_credentials_out(folder: Folder) -> None:
    copy_functions(folder, *SERVED)
    result = run(folder, "check", "--config-file", "**/*.toml")
    assert result.returncode == 1
    assert all("OPENAI_API_KEY" in line for line in result.stderr.splitlines())
    result = run(folder, "check", "--config-file", "**/*.toml", "--no-credentials")
    assert result.returncode == 0
    assert all(line.startswith("warning: ") for line in result.stderr.splitlines())


def test_a_wrong_config_stops_the_gateway(folder: Folder) -> None:
    folder.write({"tensorzero.toml": FAULTS})
    result = run(folder, "gateway", "--config-file", "tensorzero.toml")
    assert result.returncode == 1
    for text in EXPECTED:
        assert text in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert not (folder.path / "data").exists()


def test_a_glob_without_match_stops_the_gateway(folder: Folder) -> None:
    result = run(folder, "gateway", "--config-file", "nope.toml")
    assert result.returncode == 1
    assert "Error using glob: `nope.toml`: No files matched the glob pattern." in result.stderr


def test_what_protects_stops_the_gateway(folder: Folder) -> None:
    folder.write(
        {
            "tensorzero.toml": "[gateway]\nauth.enabled = true\nrelay.gateway_url = 'http://h'\n"
            "[[rate_limiting.rules]]\nalways = true\n"
            "[object_storage]\ntype = 'filesystem'\npath = 'gone'\n"
        }
    )
    result = run(folder, "gateway", "--config-file", "tensorzero.toml")
    assert result.returncode == 1
    for text in (
        "gateway.auth.enabled: authentication is not provided by this version yet",
        "gateway.relay.gateway_url: relaying is not provided by this version yet",
        "rate_limiting.rules: rate limits are not provided by this version yet",
        "object_storage.path: Failed to create filesystem object store: path does not exist: gone",
    ):
        assert text in result.stderr


def test_the_bind_address_is_given_once(folder: Folder) -> None:
    folder.write({"tensorzero.toml": '[gateway]\nbind_address = "127.0.0.1:0"'})
    result = run(
        folder, "gateway", "--config-file", "tensorzero.toml", "--bind-address", "127.0.0.1:0"
    )
    assert result.returncode == 1 and "given twice" in result.stderr


def test_a_store_that_cannot_be_written_stops_the_gateway(folder: Folder) -> None:
    folder.write(
        {
            "storage/.tensorzero-validate/x": "a folder in its place",
            "tensorzero.toml": "[object_storage]\ntype = 'filesystem'\npath = 'storage'\n",
        }
    )
    result = run(folder, "gateway", "--config-file", "tensorzero.toml")
    assert result.returncode == 1
    assert "Failed to write `.tensorzero-validate` to object store." in result.stderr


def test_validate_and_exit_accepts_the_example_of_functions(folder: Folder) -> None:
    copy_functions(folder, *SERVED)
    arguments = ("gateway", "--config-file", "**/*.toml", "--validate-and-exit")
    result = run(folder, *arguments, environ=KEY)
    assert result.returncode == 0, result.stderr
    assert "ok: config hash " in result.stdout
    assert (folder.path / "storage" / ".tensorzero-validate").exists()
    result = run(folder, *arguments)
    assert result.returncode == 1 and "OPENAI_API_KEY" in result.stderr
