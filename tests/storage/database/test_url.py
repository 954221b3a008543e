"""``TENSORZERO_CLICKHOUSE_URL``: what is accepted, what is refused, what is never shown."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorzero.storage.database.errors import DatabaseURLError
from tensorzero.storage.database.url import FORCED_SETTINGS, DatabaseURL


def test_everything_set() -> None:
    url = DatabaseURL.parse("https://us%40er:p%3Ass@db.example:8443/tensor%20zero/?max_threads=4")
    assert (url.scheme, url.host, url.port, url.database) == (
        "https",
        "db.example",
        8443,
        "tensor zero",
    )
    assert url.headers() == {"X-ClickHouse-User": b"us@er", "X-ClickHouse-Key": b"p:ss"}
    assert url.query_params() == {
        "database": "tensor zero",
        "max_threads": "4",
        **FORCED_SETTINGS,
    }
    assert url.origin == "https://db.example:8443"


@pytest.mark.parametrize(
    ("text", "database", "port"),
    [
        ("http://h:8123", "default", 8123),
        ("http://h:8123/", "default", 8123),
        ("http://h/db", "db", 80),
        ("https://h/db/", "db", 443),
        ("http://[::1]:8123/db", "db", 8123),
        ("  HTTP://h:1/db \n", "db", 1),
    ],
)
def test_defaults(text: str, database: str, port: int) -> None:
    url = DatabaseURL.parse(text)
    assert (url.database, url.port) == (database, port)
    assert url.headers() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "clickhouse://h:8123",
            "Invalid scheme in ClickHouse URL: 'clickhouse'. Use 'http' or 'https' instead.",
        ),
        (
            "clickhousedb://h",
            "Invalid scheme in ClickHouse URL: 'clickhousedb'. Use 'http' or 'https' instead.",
        ),
        (
            "tcp://h:9000",
            "Invalid scheme in ClickHouse URL: 'tcp'. Only 'http' and 'https' are supported.",
        ),
        (
            "http://h:8123/a/b",
            "The path of the ClickHouse URL must be of length 0 or 1, "
            "and end with the database name if set",
        ),
        (
            "http://h:8123/?database=x",
            "The query string 'database' is not allowed in the ClickHouse URL",
        ),
    ],
)
def test_refusals_have_the_contracts_text(text: str, message: str) -> None:
    with pytest.raises(DatabaseURLError) as caught:
        DatabaseURL.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2@h:99999/db",
        "http://user:hunter2@h:port/db",
        "http://user:hunter2@[::1/db",
        "http://user:hunter2@/db",
        "http://user:hunter2%0D%0AX-Evil:1@h/db",
        "ftp://user:hunter2@h/db",
        "",
        "nonsense",
    ],
)
def test_a_refusal_never_shows_the_password(text: str) -> None:
    with pytest.raises(DatabaseURLError) as caught:
        DatabaseURL.parse(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_are_in_no_text_of_the_url() -> None:
    url = DatabaseURL.parse("http://user:hunter2@h:1/db?password=other&user=you&max_threads=1")
    for text in (repr(url), str(url), url.origin, str(url.query_params())):
        assert "hunter2" not in text
        assert "other" not in text


def test_credentials_in_the_query_move_to_the_headers() -> None:
    url = DatabaseURL.parse("http://h:1/?user=me&password=s%20t")
    assert url.headers() == {"X-ClickHouse-User": b"me", "X-ClickHouse-Key": b"s t"}
    assert "password" not in url.query_params()


def test_forced_settings_win_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        url = DatabaseURL.parse(
            "http://h:1/?input_format_skip_unknown_fields=1&input_format_null_as_default=1"
            "&output_format_json_quote_64bit_integers=1"
        )
    assert url.query_params() == {"database": "default", **FORCED_SETTINGS}
    assert len(caplog.records) == 1
    assert "input_format_null_as_default, input_format_skip_unknown_fields" in caplog.text


@given(st.text(max_size=60))
def test_any_text_gives_a_url_or_a_readable_refusal(text: str) -> None:
    try:
        url = DatabaseURL.parse(text)
    except DatabaseURLError as error:
        assert str(error)
    else:
        assert url.scheme in ("http", "https")


@given(st.text(max_size=20), st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_percent_encoding_round_trip(user: str, password: str, database: str) -> None:
    from urllib.parse import quote

    text = f"http://u{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(database, safe='')}"
    try:
        url = DatabaseURL.parse(text)
    except DatabaseURLError as error:
        assert "control character" in str(error)
        return
    assert (url.username, url.password, url.database) == (f"u{user}", password, database)
