"""``tensorzero export``: every inference once, with its feedback, in each format."""

from __future__ import annotations

import csv
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import orjson
import pyarrow.parquet
import pytest

from cli.command import COMMAND, tensorzero
from gateway.running import Gateway, clean_environment, write_config
from tensorzero.cli import exporting
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.export.query import Metric, Selection, slice_query

ODD = "it's `odd` \\ {x:String} -- /* "


def feedback_id(number: int) -> str:
    return f"0199f3a0-0000-7000-9000-{number:012d}"


class Recorded:
    """A gateway with three inferences of ``typed``, two of ``extract``, and feedback."""

    def __init__(self, folder: Path) -> None:
        self.gateway = Gateway(
            write_config(folder, "http://127.0.0.1:9"), folder / "data", log=folder / "log"
        )
        self.ids = [self.infer("typed", name) for name in ("Ann", 'B"o\nb', "Zoë, ü")]
        self.mixed = "0199f3a0-0000-7000-8000-000000000001"
        self.json_ids = [
            self.infer("extract", "x", variant_name=name, episode_id=self.mixed)
            for name in ("v", "broken")
        ]
        self.gateway.wait_for("SELECT count() FROM InferenceById", "5")
        self.gateway.wait_for("SELECT count() FROM ModelInference", "5")
        first, second = self.ids[:2]
        metric = {"metric_name": "solved", "tags": {}}
        odd = {"metric_name": ODD, "tags": {}}
        self.insert(
            "BooleanMetricFeedback",
            {"id": feedback_id(1), "target_id": first, "value": True, **metric},
            {"id": feedback_id(2), "target_id": first, "value": False, **metric},
            {"id": feedback_id(3), "target_id": second, "value": True, **metric},
            {
                "id": feedback_id(8),
                "target_id": self.mixed,
                "metric_name": "rated",
                "value": True,
                "tags": {},
            },
        )
        self.insert(
            "FloatMetricFeedback",
            {"id": feedback_id(4), "target_id": self.episode(second), "value": 0.5, **odd},
        )
        self.insert(
            "CommentFeedback",
            {"id": feedback_id(6), "target_id": second, "target_type": "inference", "value": "b"},
            {
                "id": feedback_id(5),
                "target_id": second,
                "target_type": "inference",
                "value": "a\t'",
            },
        )
        self.insert(
            "DemonstrationFeedback",
            {"id": feedback_id(7), "inference_id": first, "value": "[]", "tags": {}},
        )

    def infer(self, function: str, text: str, **fields: str) -> str:
        content: dict[str, object] = {"type": "text", "text": text}
        if function == "typed":
            content = {"type": "template", "name": "user", "arguments": {"name": text}}
        body = {
            "function_name": function,
            "input": {"messages": [{"role": "user", "content": [content]}]},
            "tags": {"who": text},
            **fields,
        }
        answer = httpx.post(f"{self.gateway.url}/inference", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["inference_id"])

    def episode(self, inference_id: str) -> str:
        sql = f"SELECT episode_id FROM ChatInference WHERE id = '{inference_id}'"
        return self.gateway.query(sql)[0][0]

    def insert(self, table: str, *rows: dict[str, object]) -> None:
        url = read_connection(self.gateway.data_dir)
        assert url is not None
        with RemoteDatabase(url) as database:
            lines = b"\n".join(orjson.dumps(row) for row in rows)
            database.insert(table, lines, len(rows), token=f"{table}-{len(rows)}")

    def export(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return tensorzero("export", "--data-dir", self.gateway.data_dir, *arguments)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    made = Recorded(tmp_path_factory.mktemp("export"))
    yield made
    assert made.gateway.stop() == 0


def test_json_lines(recorded: Recorded) -> None:
    result = recorded.export("--function", "typed")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == recorded.ids
    first, second, third = rows
    assert first["function_name"] == "typed"
    assert first["variant_name"] == "v"
    assert UUID(first["episode_id"]).version == 7
    milliseconds = int(first["id"].replace("-", "")[:12], 16)
    assert first["timestamp"].endswith(f".{milliseconds % 1000:03d}Z")
    assert orjson.loads(second["input"])["messages"][0]["content"][0]["arguments"] == {
        "name": 'B"o\nb'
    }
    assert orjson.loads(third["output"]) == [{"type": "text", "text": "Name: Zoë, ü"}]
    assert third["tags"] == {"who": "Zoë, ü"}
    assert first["output_schema"] is None
    assert first["models"] == ["dummy::echo"]
    assert first["model_inferences"] == 1
    stored = recorded.gateway.query(
        "SELECT input_tokens, output_tokens, finish_reason FROM ModelInference "
        f"WHERE inference_id = '{first['id']}'"
    )[0]
    assert [str(first[n]) for n in ("input_tokens", "output_tokens", "finish_reason")] == stored
    assert isinstance(first["processing_time_ms"], int)
    assert [row["metric_solved"] for row in rows] == [False, True, None]
    assert [row[f"metric_{ODD}"] for row in rows] == [None, 0.5, None]
    assert [row["comments"] for row in rows] == [[], ["a\t'", "b"], []]
    assert [row["demonstration"] for row in rows] == ["[]", None, None]


def test_parquet_and_csv_hold_the_same(recorded: Recorded, tmp_path: Path) -> None:
    lines = recorded.export("--function", "typed").stdout.splitlines()
    rows = [orjson.loads(line) for line in lines]
    assert recorded.export("--function", "typed", "--output", tmp_path / "a.parquet").stdout == ""
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(rows[0])
    for got, wanted in zip(table.to_pylist(), rows, strict=True):
        got["tags"] = dict(got["tags"])
        got["timestamp"] = got["timestamp"].isoformat(timespec="milliseconds")[:-6] + "Z"
        assert got == wanted
    result = recorded.export("--function", "typed", "--output", tmp_path / "a.csv")
    assert result.returncode == 0
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        table_rows = list(csv.DictReader(file))
    assert list(table_rows[0]) == list(rows[0])
    for cells, row in zip(table_rows, rows, strict=True):
        for name, value in row.items():
            # Empty for nothing, JSON for lists and maps, else as a text is written.
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            assert cells[name] == ("" if value is None else text), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_a_json_function_has_its_schema(recorded: Recorded) -> None:
    """And an episode's value, also where its inferences have two variants."""
    lines = recorded.export("--function", "extract").stdout.splitlines()
    rows = [orjson.loads(line) for line in lines]
    assert [row["id"] for row in rows] == recorded.json_ids
    assert [row["variant_name"] for row in rows] == ["v", "broken"]
    assert orjson.loads(rows[0]["output_schema"])["type"] == "object"
    assert [row["metric_rated"] for row in rows] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--since", "1h"], 3),
        (["--since", "2105-01-01"], 0),
        (["--until", "2020-01-01"], 0),
        (["--since", "2020-01-01T00:00:00+02:00", "--until", "2105-01-01"], 3),
    ],
)
def test_times(recorded: Recorded, tmp_path: Path, arguments: list[str], found: int) -> None:
    out = tmp_path / "out.parquet"
    result = recorded.export("--function", "typed", *arguments, "--output", out)
    assert result.returncode == 0, result.stderr
    assert pyarrow.parquet.read_table(out).num_rows == found


def test_a_folder_that_is_not_there(recorded: Recorded, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "out.csv"
    result = recorded.export("--function", "typed", "--output", out)
    assert result.returncode == 1
    assert result.stderr == f"tensorzero export: {out}: No such file or directory\n"


def test_an_unknown_function_leaves_no_file(recorded: Recorded, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("kept")
    result = recorded.export("--function", "nope'; --", "--output", out)
    assert result.returncode == 1
    assert "no inference of a function `nope'; --` has been recorded" in result.stderr
    assert "extract, typed" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text() == "kept"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"],
        ["--since", "1960-01-01"],
        ["--format", "xml"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    result = tensorzero("export", "--function", "f", *arguments)
    assert result.returncode == 2
    assert "usage: tensorzero export" in result.stderr


def test_smaller_slices_where_the_database_has_no_room(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The engine refuses more than one row of a result here; every row comes all the same."""
    monkeypatch.setattr(exporting, "SETTINGS", {**exporting.SETTINGS, "max_result_rows": "1"})
    monkeypatch.setenv("TENSORZERO_DATA_DIR", str(recorded.gateway.data_dir))
    from tensorzero.cli.main import main

    out = tmp_path / "out.jsonl"
    assert main(["export", "--function", "typed", "--output", str(out)]) == 0
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [row["id"] for row in rows] == recorded.ids


def test_progress_is_for_terminals(recorded: Recorded, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "export", "--data-dir", str(recorded.gateway.data_dir)]
    command += ["--function", "typed", "--output", str(tmp_path / "out.csv")]
    subprocess.run(command, stderr=theirs, check=True, env=clean_environment(), timeout=60)
    os.close(theirs)
    assert b"3 inferences in " in os.read(ours, 4096)
    os.close(ours)


def test_without_a_gateway_and_interrupted(recorded: Recorded, tmp_path: Path) -> None:
    """After `kill -9` the database is opened here; Ctrl-C leaves nothing of the file."""
    gateway = Gateway(None, tmp_path / "data")
    body = {"model_name": "dummy::text", "input": {"messages": [{"role": "user", "content": "x"}]}}
    assert httpx.post(f"{gateway.url}/inference", json=body, timeout=30).status_code == 200
    gateway.kill_all()
    out = tmp_path / "files" / "out.jsonl"
    out.parent.mkdir()
    arguments = ["export", "--data-dir", str(gateway.data_dir)]
    arguments += ["--function", "tensorzero::default", "--output", str(out)]
    process = subprocess.Popen([*COMMAND, *arguments], env=clean_environment())
    ends = time.monotonic() + 60
    while not list(out.parent.iterdir()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert list(out.parent.iterdir()) == []
    result = tensorzero(*arguments)
    assert result.returncode == 0, result.stderr
    assert len(out.read_text().splitlines()) == 1


def test_names_are_parameters() -> None:
    """A function's or metric's name is in the parameters; a column's name is quoted."""
    sql, params = slice_query(Selection(ODD, 0, 1), (Metric(ODD, False), Metric("b`c", True)))
    assert params["function"] == ODD
    assert params["metric0"] == ODD
    assert ODD not in sql
    assert "`metric_b\\`c`" in sql
