"""Parsing: jinja2's lexer and parser, bent to MiniJinja's grammar.

The differences that matter: comparisons associate to the left (``3 > 2 == true``), a test may
take an unparenthesised signed argument, there is no unary ``+``, ``do`` wants a call, unknown
string escapes are kept, line ends other than ``\\n`` are kept, exactly one trailing newline is
dropped, identifiers are ASCII, integers fit 128 bits, and some names can't be assigned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Lexer, Token, TokenStream
from jinja2.parser import Parser

from tensorzero.templates.errors import TemplateParseError

RESERVED_NAMES = frozenset(
    {"true", "false", "none", "True", "False", "None", "loop", "self", "super"}
)
MAX_UNSIGNED = 2**128 - 1

# A carriage return would be lost in jinja2's newline handling. These stand in for it while the
# source is in the lexer: all count as white space inside a tag, and none is a line end.
_CARRIAGE_RETURN_STAND_INS = "\x1d\x1e\x1f\x1c\x0b\x0c"

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{1,3})|(u|x)|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    '"': '"',
    "'": "'",
    "/": "/",
    "\\": "\\",
}
_INTEGER = re.compile(r"0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*")
_FLOAT = re.compile(
    r"(?<!\.)(?:[0-9][0-9_]*\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|[0-9][0-9_]*[eE][+-]?[0-9]+"
    r"|[0-9][0-9_]*\.(?![\w.]))"
)


def unescape(text: str) -> str:
    """Resolve the escapes of a string literal. Raises ``ValueError`` for a broken ``\\u``/``\\x``."""

    def one(match: re.Match[str]) -> str:
        unicode, byte, octal, broken, simple = match.groups()
        if unicode or byte:
            return chr(int(unicode or byte, 16))
        if octal:
            return chr(int(octal, 8))
        if broken:
            raise ValueError("bad string escape")
        return _SIMPLE_ESCAPES.get(simple, "\\" + simple)

    if "\\" not in text:
        return text
    result = _ESCAPE.sub(one, text)
    try:
        # joins surrogate pairs, and refuses halves of one
        return result.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("bad string escape") from None


class _Lexer(Lexer):
    """jinja2's lexer with MiniJinja's literals."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        for state in ("block_begin", "variable_begin"):
            rules = self.rules[state]
            for position, rule in enumerate(rules):
                if rule.tokens == "float":
                    rules[position] = rule._replace(pattern=_FLOAT)
                elif rule.tokens == "integer":
                    rules[position] = rule._replace(pattern=_INTEGER)

    def wrap(
        self,
        stream: Iterable[tuple[int, str, str]],
        name: str | None = None,
        filename: str | None = None,
    ) -> Iterator[Token]:
        stand_in = filename or ""
        for lineno, kind, text in stream:
            value: Any = text
            if kind == "data":
                yield Token(lineno, "data", text.replace(stand_in, "\r") if stand_in else text)
                continue
            if kind == "string":
                raw = text[1:-1].replace(stand_in, "\r") if stand_in else text[1:-1]
                try:
                    value = unescape(raw)
                except ValueError as error:
                    raise TemplateSyntaxError(str(error), lineno, name) from None
            elif kind == "integer":
                digits = text.replace("_", "")
                value = (
                    int(digits, 0)
                    if digits[1:2].lower() in {"b", "o", "x"}
                    else _decimal(digits, lineno, name)
                )
                if value > MAX_UNSIGNED:
                    raise TemplateSyntaxError("invalid integer (too large)", lineno, name)
            elif kind == "float":
                value = float(text.replace("_", ""))
            elif kind == "name":
                if not text.isascii():
                    raise TemplateSyntaxError("unexpected character", lineno, name)
            else:
                yield from super().wrap(((lineno, kind, text),), name, filename)
                continue
            yield Token(lineno, kind, value)


def _decimal(digits: str, lineno: int, name: str | None) -> int:
    # 39 digits hold 128 bits; longer ones would only cost time, quadratically.
    stripped = digits.lstrip("0") or "0"
    if len(stripped) > 39:
        raise TemplateSyntaxError("invalid integer (too large)", lineno, name)
    return int(stripped)


class _Do(Extension):
    """``{% do call(…) %}``."""

    tags = {"do"}  # noqa: RUF012 - jinja2 declares this attribute as a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        call = parser.parse_expression()
        if not isinstance(call, nodes.Call):
            parser.fail("expected call expression in do block", lineno)
        return nodes.ExprStmt(call, lineno=lineno)


class _LoopControls(Extension):
    """``{% break %}`` and ``{% continue %}``."""

    tags = {"break", "continue"}  # noqa: RUF012 - jinja2 declares this attribute as a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        token = next(parser.stream)
        kind = nodes.Break if token.value == "break" else nodes.Continue
        return kind(lineno=token.lineno)


class _Parser(Parser):
    """jinja2's parser with MiniJinja's precedences and refusals."""

    def parse_compare(self) -> nodes.Expr:
        left = self.parse_math1()
        while True:
            token = self.stream.current
            if token.type in {"eq", "ne", "lt", "lteq", "gt", "gteq"}:
                next(self.stream)
                operator = token.type
            elif self.stream.skip_if("name:in"):
                operator = "in"
            elif token.test("name:not") and self.stream.look().test("name:in"):
                self.stream.skip(2)
                operator = "notin"
            else:
                return left
            operand = nodes.Operand(operator, self.parse_math1())
            left = nodes.Compare(left, [operand], lineno=token.lineno)

    def parse_unary(self, with_filter: bool = True) -> nodes.Expr:
        if self.stream.current.type == "add":
            self.fail("unexpected `+`", self.stream.current.lineno)
        return super().parse_unary(with_filter)

    def parse_test(self, node: nodes.Expr) -> nodes.Expr:
        line = next(self.stream).lineno
        negated = self.stream.skip_if("name:not")
        name = self.stream.expect("name").value
        args: list[nodes.Expr] = []
        kwargs: list[nodes.Keyword] = []
        dyn_args = dyn_kwargs = None
        token = self.stream.current
        if token.type == "lparen":
            args, kwargs, dyn_args, dyn_kwargs = self.parse_call_args()
        elif token.type in {"string", "integer", "float", "lbracket", "lbrace", "sub"} or (
            token.type == "name"
            and token.value not in {"and", "or", "not", "in", "is", "if", "else", "recursive"}
        ):
            args = [self.parse_unary(with_filter=False)]
        test: nodes.Expr = nodes.Test(node, name, args, kwargs, dyn_args, dyn_kwargs, lineno=line)
        return nodes.Not(test, lineno=line) if negated else test

    def parse_tuple(self, *args: Any, **kwargs: Any) -> nodes.Expr:
        if kwargs.get("simplified") or kwargs.get("explicit_parentheses"):
            return super().parse_tuple(*args, **kwargs)
        return self.parse_expression(kwargs.get("with_condexpr", True))

    def parse_set(self) -> nodes.Assign | nodes.AssignBlock:
        line = next(self.stream).lineno
        target = self.parse_assign_target(with_namespace=True)
        if self.stream.skip_if("assign"):
            value = super().parse_tuple()  # the one place where a list needs no brackets
            return nodes.Assign(target, value, lineno=line)
        filters = self.parse_filter(None)
        body = self.parse_statements(("name:endset",), drop_needle=True)
        return nodes.AssignBlock(target, filters, body, lineno=line)

    def parse_print(self) -> nodes.Output:
        self.fail_unknown_tag("print", self.stream.current.lineno)

    def parse_block(self) -> nodes.Block:
        block = super().parse_block()
        if block.scoped or block.required:
            self.fail("unexpected identifier, expected end of block", block.lineno)
        return block

    def parse_assign_target(self, *args: Any, **kwargs: Any) -> Any:
        target = super().parse_assign_target(*args, **kwargs)
        for name in target.find_all(nodes.Name) if not isinstance(target, nodes.Name) else [target]:
            if name.name in RESERVED_NAMES:
                self.fail(f"cannot assign to reserved variable name {name.name}", target.lineno)
        return target

    def fail_unknown_tag(self, name: str, lineno: int | None = None) -> NoReturn:
        self.fail(f"unknown statement {name}", lineno)


class _Environment(Environment):
    """Binds the lexer and the parser above; everything else of jinja2's environment is unused."""

    def __init__(self) -> None:
        super().__init__(extensions=[_Do, _LoopControls], keep_trailing_newline=True, cache_size=0)
        self._own_lexer = _Lexer(self)

    @property
    def lexer(self) -> Lexer:
        return self._own_lexer

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return self._own_lexer.tokenize(source, name, filename, state)


_environment = _Environment()


def parse(key: str, source: str) -> nodes.Template:
    """Parse ``source`` into jinja2's syntax tree. Raises :class:`TemplateParseError`."""
    if source.endswith("\n"):
        source = source[:-2] if source.endswith("\r\n") else source[:-1]
    stand_in = ""
    if "\r" in source:
        stand_in = next((mark for mark in _CARRIAGE_RETURN_STAND_INS if mark not in source), "")
        if stand_in:
            source = source.replace("\r", stand_in)
    try:
        # The lexer gets the stand-in through the unused ``filename``.
        return _Parser(_environment, source, key, stand_in).parse()
    except TemplateSyntaxError as error:
        raise parse_error(key, error.message or "syntax error", error.lineno) from None
    except RecursionError:
        raise parse_error(key, "template is nested too deeply", 1) from None


def parse_error(key: str, problem: str, line: int) -> TemplateParseError:
    """The start error of a template that is not valid."""
    return TemplateParseError(
        key, f"Failed to add template `{key}`: syntax error: {problem} (in {key}:{line})"
    )
