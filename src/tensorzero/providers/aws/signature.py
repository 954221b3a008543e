"""AWS Signature Version 4 in header fields, the payload in one piece.

Source: "Authenticating Requests (AWS Signature Version 4)", the vendor's documentation.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import normpath
from time import gmtime, strftime
from urllib.parse import parse_qsl, quote

from tzcore.client import Target

ALGORITHM = "AWS4-HMAC-SHA256"
DATE, TOKEN, AUTHORIZATION = "x-amz-date", "x-amz-security-token", "authorization"
UNSIGNED = frozenset({"user-agent", AUTHORIZATION, "x-amzn-trace-id", "transfer-encoding"})
"""Fields that others on the way may change."""

MAX_FORMS = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs. Never printed."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


class Form:
    """A canonical request but for its date and the hash of its payload."""

    __slots__ = ("after_date", "before_date", "given", "signed_names", "target")

    def __init__(
        self,
        target: Target | None,
        method: str,
        path: str,
        fields: Iterable[tuple[str, str]],
        token: str | None = None,
    ) -> None:
        """``path``: with its query, as it is sent; ``fields`` without the date."""
        self.target = target
        values: dict[str, str] = {}
        for name, value in fields:
            lower, trimmed = name.lower(), " ".join(value.split())
            values[lower] = f"{values[lower]},{trimmed}" if lower in values else trimmed
        self.given = frozenset(values)
        if token is not None:
            values.setdefault(TOKEN, token)
        date = values.pop(DATE, None)
        signed = sorted({*values, DATE} - UNSIGNED)
        self.signed_names = ";".join(signed)
        at = signed.index(DATE)
        place, _, query = path.partition("?")
        lines = [f"{name}:{values[name]}\n" for name in signed if name != DATE]
        self.before_date = "".join(
            [
                f"{method}\n{canonical_path(place)}\n{canonical_query(query)}\n",
                *lines[:at],
                f"{DATE}:",
                "" if date is None else date,
            ]
        )
        self.after_date = "".join(["\n", *lines[at:], f"\n{self.signed_names}\n"])

    def canonical(self, date: str, payload_hash: str) -> str:
        """``date`` counts unless the request brings its own."""
        if DATE in self.given:
            date = ""
        return f"{self.before_date}{date}{self.after_date}{payload_hash}"


def canonical_path(path: str) -> str:
    """The path as sent, encoded once more, without dot segments and doubled slashes."""
    if not path:
        return "/"
    normal = normpath("/" + path.lstrip("/"))
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/-_.~")


def canonical_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(
        sorted(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in pairs)
    )


class Signer:
    """Signs the requests of one set of keys to one service in one region.

    The derived key is kept for its day, what is equal in all requests of a target with it.
    """

    def __init__(self, keys: Keys, region: str, service: str) -> None:
        self.keys = keys
        self._place = f"{region}/{service}/aws4_request"
        self.region, self._service = region, service
        self._second = -1
        self._date = ""
        self._day = ""
        self._scope = ""
        self._credential = ""
        self._mac = hmac.new(b"", digestmod="sha256")
        self._forms: dict[int, Form] = {}

    def fields(self, target: Target, payload: bytes, now: float) -> list[tuple[str, str]]:
        """The fields to add to a POST of ``payload``. ``now``: seconds since 1970, as AWS counts
        them. Fields that ``target`` has already stay as they are."""
        form = self._forms.get(id(target))
        if form is None or form.target is not target:
            form = self._form(target)
        date, authorization = self.sign(form, payload, now)
        given = form.given
        if not given.isdisjoint((DATE, TOKEN, AUTHORIZATION)):
            return [
                (name, value)
                for name, value in (
                    (DATE, date),
                    (TOKEN, self.keys.session_token),
                    (AUTHORIZATION, authorization),
                )
                if value is not None and name not in given
            ]
        if self.keys.session_token is None:
            return [(DATE, date), (AUTHORIZATION, authorization)]
        return [(DATE, date), (TOKEN, self.keys.session_token), (AUTHORIZATION, authorization)]

    def sign(self, form: Form, payload: bytes, now: float) -> tuple[str, str]:
        """The date, and the value of ``authorization``."""
        second = int(now)
        if second != self._second:
            self._tick(second)
        canonical = form.canonical(self._date, hashlib.sha256(payload).hexdigest())
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        mac = self._mac.copy()
        mac.update(f"{ALGORITHM}\n{self._date}\n{self._scope}\n{digest}".encode())
        return self._date, (
            f"{ALGORITHM} Credential={self._credential}, SignedHeaders={form.signed_names}, "
            f"Signature={mac.hexdigest()}"
        )

    def _form(self, target: Target) -> Form:
        fields = list(target.headers)
        if not any(name.lower() == "host" for name, _ in fields):
            fields.append(("host", host_field(target)))
        form = Form(target, "POST", target.path.decode(), fields, self.keys.session_token)
        if len(self._forms) >= MAX_FORMS:  # targets with extra header fields live for one request
            self._forms.clear()
        self._forms[id(target)] = form
        return form

    def _tick(self, second: int) -> None:
        self._second = second
        self._date = strftime("%Y%m%dT%H%M%SZ", gmtime(second))
        day = self._date[:8]
        if day != self._day:
            key = f"AWS4{self.keys.secret_access_key}".encode()
            for part in (day, self.region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._mac = hmac.new(key, digestmod="sha256")
            self._day = day
            self._scope = f"{day}/{self._place}"
            self._credential = f"{self.keys.access_key_id}/{self._scope}"


def host_field(target: Target) -> str:
    """What the client sends as ``Host``."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    return host if target.port == usual else f"{host}:{target.port}"
