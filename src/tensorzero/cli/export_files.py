"""Files that an export writes: slice by slice, under their name only when complete."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from tensorzero.server.children import StartError


class Table(Protocol):
    """Takes the slices of an export, each whole in ``engine_format``."""

    engine_format: str

    def add(self, piece: IO[bytes]) -> None: ...

    def close(self) -> None: ...


class LineTable:
    """JSON Lines or CSV: the slices as they are."""

    def __init__(self, output: IO[bytes], engine_format: str, header: bytes = b"") -> None:
        self.engine_format = engine_format
        self._output = output
        output.write(header)

    def add(self, piece: IO[bytes]) -> None:
        while data := piece.read(1 << 20):
            self._output.write(data)

    def close(self) -> None:
        self._output.flush()


class ParquetTable:
    """One file of the slices' row groups. Raises ``StartError`` without pyarrow."""

    engine_format = "Parquet"

    def __init__(self, output: IO[bytes]) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise StartError(
                "`--format parquet` needs pyarrow, which is not installed: `pip install pyarrow`"
            ) from None
        self._parquet = pyarrow.parquet
        self._output = output
        self._writer: Any = None

    def add(self, piece: IO[bytes]) -> None:
        with self._parquet.ParquetFile(piece) as slice_:
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(
                    self._output, slice_.schema_arrow, compression="zstd"
                )
            for group in range(slice_.num_row_groups):
                self._writer.write_table(slice_.read_row_group(group))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._output.flush()


def open_table(output: IO[bytes], file_format: str, columns: list[str]) -> Table:
    """The table of ``parquet``, ``jsonl`` or ``csv``."""
    if file_format == "parquet":
        return ParquetTable(output)
    if file_format == "jsonl":
        return LineTable(output, "JSONEachRow")
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(columns)
    return LineTable(output, "CSV", header.getvalue().encode())


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[IO[bytes]]:
    """The file to write, or standard output. A file gets its name at the end, if it comes to it.

    Raises ``OSError``, and ``StartError`` for a place where no file can be made.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(made, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
