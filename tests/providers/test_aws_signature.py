"""Signature Version 4, against the vendor's published vectors and against its own library."""

from __future__ import annotations

import asyncio
import calendar
import re
import time
from collections.abc import Sequence

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tensorzero.providers.aws.signature import Form, Keys, Signer
from tzcore.client import Pool, Target

# The test suite that AWS published with Signature Version 4: its keys, time, region and service.
SUITE_KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_TIME = calendar.timegm((2015, 8, 30, 12, 36, 0))
SESSION = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
LETTERS = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM_HASH = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"

Fields = Sequence[tuple[str, str]]

VECTORS: list[tuple[str, str, str, Fields, str]] = [
    (
        "get-vanilla",
        "GET",
        "/",
        [],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        [],
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "get-header-key-duplicate",
        "GET",
        "/",
        [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-order",
        "GET",
        "/",
        [("My-Header1", f"value{number}") for number in (4, 1, 3, 2)],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-header-value-case",
        "POST",
        "/",
        [("My-Header1", "VALUE1")],
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    (
        "get-relative-relative-normalized",
        "GET",
        "/example1/example2/../..",
        [],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-slash-pointless-dot-normalized",
        "GET",
        "/./example",
        [],
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    (
        "get-slashes-normalized",
        "GET",
        "//example//",
        [],
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    (
        "get-space-normalized",
        "GET",
        "/example space/",
        [],
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "get-unreserved",
        "GET",
        f"/{LETTERS}",
        [],
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-utf8",
        "GET",
        "/\u1234",
        [],
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/?Param2=value2&Param1=value1",
        [],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-query-unreserved",
        "GET",
        f"/?{LETTERS}={LETTERS}",
        [],
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    (
        "get-vanilla-utf8-query",
        "GET",
        "/?\u1234=bar",
        [],
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-vanilla-with-session-token",
        "GET",
        "/",
        [("X-Amz-Security-Token", SESSION)],
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "fields", "signature"),
    [one[1:] for one in VECTORS],
    ids=[one[0] for one in VECTORS],
)
def test_the_vendors_vectors(method: str, path: str, fields: Fields, signature: str) -> None:
    form = Form(None, method, path, [("Host", "example.amazonaws.com"), *fields])
    signer = Signer(SUITE_KEYS, "us-east-1", "service")
    date, authorization = signer.sign(form, b"", SUITE_TIME)
    names = sorted({"host", "x-amz-date", *(name.lower() for name, _ in fields)})
    assert date == "20150830T123600Z"
    assert authorization == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )


def test_the_vector_with_a_body() -> None:
    """post-x-www-form-urlencoded."""
    fields = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Host", "example.amazonaws.com"),
        ("Content-Length", "13"),
        ("x-amz-content-sha256", FORM_HASH),
    ]
    signer = Signer(SUITE_KEYS, "us-east-1", "service")
    _, authorization = signer.sign(Form(None, "POST", "/", fields), b"Param1=value1", SUITE_TIME)
    assert authorization.endswith(
        "SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date, "
        "Signature=d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"
    )


def target(url: str, *fields: tuple[str, str]) -> Target:
    async def make() -> Target:
        return Pool(user_agent=b"Test/1", trust_env=False).target(url, list(fields))

    return asyncio.run(make())


BASE = [("content-type", "application/json"), ("accept", "application/json")]
ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.model"


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse", BASE),
        (f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{ARN}/converse-stream", BASE[:1]),
        ("http://localhost:4566/a/./b/../c//model/x/converse", BASE),
        ("https://h.example/caf%C3%A9/model/x%3A0/converse", BASE),
        ("http://[::1]:4566/model/x/converse", BASE),
        ("https://h.example/model/x/converse", [*BASE, ("X-Zone", "  two   words ")]),
        ("https://h.example/model/x/converse", [*BASE, ("X-Amzn-Bedrock-Trace", "ENABLED")]),
        ("https://h.example/model/x/converse", [*BASE, ("User-Agent", "mine"), ("A", "b")]),
    ],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_as_the_vendors_library_signs(url: str, fields: Fields, token: str | None) -> None:
    """The library signs the same fields, at the second that we signed at."""
    where = target(url, *fields)
    signer = Signer(Keys("AKIDEXAMPLE", "secret", token), "eu-west-3", "bedrock")
    body = b'{"messages":[]}'
    added = dict(signer.fields(where, body, time.time()))
    names = re.search("SignedHeaders=([^,]*)", added["authorization"])
    assert names is not None
    theirs = AWSRequest("POST", url, dict(fields), body)
    # The library would sign by the time at which it is called.
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "bedrock", "eu-west-3")
    theirs.context["timestamp"] = added["x-amz-date"]
    auth._modify_request_before_signing(theirs)
    del theirs.headers["X-Amz-Date"]
    theirs.headers["X-Amz-Date"] = added["x-amz-date"]
    canonical = auth.canonical_request(theirs)
    expected = auth.signature(auth.string_to_sign(theirs, canonical), theirs)
    assert canonical.splitlines()[-2] == names[1]
    assert added["authorization"].endswith(f"Signature={expected}")
    assert added.get("x-amz-security-token") == token


def test_fields_of_the_caller_stay() -> None:
    signer = Signer(Keys("AKIDEXAMPLE", "secret", "ours"), "us-east-1", "bedrock")
    where = target("https://h.example/x", *BASE, ("X-Amz-Security-Token", "theirs"))
    assert [name for name, _ in signer.fields(where, b"", 0.0)] == ["x-amz-date", "authorization"]
    where = target("https://h.example/x", *BASE, ("Authorization", "theirs"))
    assert [name for name, _ in signer.fields(where, b"", 0.0)] == [
        "x-amz-date",
        "x-amz-security-token",
    ]
    where = target("https://h.example/x", *BASE, ("X-Amz-Date", "20150830T123600Z"))
    added = dict(signer.fields(where, b"", 0.0))
    assert sorted(added) == ["authorization", "x-amz-security-token"]


def test_the_key_follows_the_day() -> None:
    """A signer that lives over midnight signs as a fresh one does, and back."""
    lasting = Signer(SUITE_KEYS, "us-east-1", "service")
    where = target("https://example.amazonaws.com/x", *BASE)
    for day in (0, 1, 1, 0, 300):
        now = SUITE_TIME + day * 86_400
        fresh = Signer(SUITE_KEYS, "us-east-1", "service")
        assert lasting.fields(where, b"x", now) == fresh.fields(where, b"x", now)


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(Keys("id", "secret", "token"))


def test_many_targets_are_not_kept() -> None:
    """Targets with extra fields are new for each request."""
    signer = Signer(SUITE_KEYS, "us-east-1", "service")
    for number in range(200):
        where = target("https://h.example/x", ("x-number", str(number)))
        fresh = Signer(SUITE_KEYS, "us-east-1", "service")
        assert signer.fields(where, b"", 0.0) == fresh.fields(where, b"", 0.0)
    assert len(signer._forms) <= 64
