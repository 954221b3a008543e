"""Template snippets whose output (or error) the engine and the ``minijinja`` package must agree on.

Every snippet sees the variables of ``ARGUMENTS``, which the test writes into the template as
literals: the package would print Python's own maps and lists the way Python does.
"""

from __future__ import annotations

from typing import Any

ARGUMENTS: dict[str, Any] = {
    "big": 100000000000000000000.0,
    "deep": {"a": {"b": {"c": [1, {"d": "end"}]}}},
    "empty": "",
    "false_": False,
    "fraction": 2.5,
    "html": "<a href=\"x\">Tom & 'Jerry'</a>",
    "items": [{"n": 3, "name": "b"}, {"n": 1, "name": "C"}, {"n": 2, "name": "a"}],
    "map": {"a": 1, "b": "two", "c": None, "d": [1, 2], "e": {"x": 1.0}},
    "mixed": [3, "b", None, True, 1.5, "A", [2], {"k": 1}, False, -1],
    "negative": -7,
    "no_items": [],
    "no_map": {},
    "nothing": None,
    "number": 42,
    "small": 0.0000001,
    "text": "Hello World",
    "umlaut": 'Grüße, 世界 é\t"x"\\ \u200b',
    "values": [3, 1, 2],
    "whole": 3.0,
    "words": ["pear", "Apple", "fig", "apple"],
}

LIBRARY: dict[str, str] = {
    "base": "<{% block head %}base head{% endblock %}|{% block body %}base body{% endblock %}>",
    "middle": "{% extends 'base' %}{% block head %}middle({{ super() }}){% endblock %}",
    "greeting": "Hi {{ text }}{% if who is defined %} from {{ who }}{% endif %}!",
    "loop_user": "{{ loop.index }};",
    "macros": "{% set version = 3 %}{% macro tag(name, value='none') %}<{{ name }}={{ value }}>"
    "{% endmacro %}{% macro wrap() %}[{{ caller() }}]{% endmacro %}loaded",
    "setter": "{% set from_include = 'set' %}",
    "broken": "line one\n{{ unknown_name }}",
    "self_include": "{% include 'self_include' %}",
    "self_extend": "{% extends 'self_extend' %}",
}

PRINTING = r"""
{{ number }} {{ fraction }} {{ whole }} {{ big }} {{ small }} {{ negative }}
{{ nothing }} {{ none }} {{ None }} {{ true }} {{ True }} {{ false_ }} {{ False }}
{{ map }}
{{ mixed }}
{{ items }}
{{ deep }}
{{ umlaut }} {{ [umlaut] }}
{{ [1, 'a', none, true, 1.5] }}
{{ {'a': 'x', 'b': 1} }}
{{ [big, small, whole, 1e16, 123456789012345.0, 1e15, 1e-4, 1e-5, 0.00001234] }}
{{ 1e16 }} {{ 1e15 }} {{ 1e-4 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1e300 }}
{{ 'a' ~ none ~ true ~ 1.0 ~ [1] ~ {'a': none} }}
{{ "a\nb\tc\"d'e" }} {{ ["a\nb\tc\"d'e\\"] }}
{{ 'a\u0041\x41\101' }}
{{ ["\u0000\u0007\u001b\u007f\u00a0\u0301\u200b\u2028\ufeff"] }}
{{ 'a' 'b' }}
{{ (1, 2) }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }}
{{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_000.5 }}
{{ text }}{{- text -}} {{ text }}
{{ range(3) }} {{ range }} {{ dict }} {{ namespace }}
{{ map|items }} {{ 'a b'|split }} {{ values|reverse }}
{{ 170141183460469231731687303715884105727 }}
{{ 340282366920938463463374607431768211455 }}
{{ 340282366920938463463374607431768211456 }}
{{ 1e999 }} {{ -1e999 }} {{ [1e999] }}
{{ [[], [[]], {}, {'a': {}}] }}
{{ '' }}|{{ [''] }}
"""

OPERATORS = r"""
{{ 1 + 2 }} {{ 1 + 2.0 }} {{ 'a' + 'b' }} {{ [1] + [2] }} {{ 1 - 3 }} {{ 2 * 3.5 }}
{{ 10 / 2 }} {{ 1 / 3 }} {{ 1 / 0 }} {{ -1 / 0 }} {{ 0 / 0 }} {{ 1.0 / 0.0 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ -7 // -2 }} {{ 7.5 // 2 }} {{ -7.5 // 2 }}
{{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7 % -3 }} {{ 7.5 % 2 }} {{ 7.5 % -2 }}
{{ -7.5 % 2 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 // 0 }} {{ 1 // 0.0 }}
{{ 1.0 % 0 }}
{{ 2 ** 10 }} {{ 2 ** 0.5 }} {{ 2.0 ** 3 }} {{ 0 ** 0 }} {{ (-2) ** 3 }} {{ -2 ** 2 }}
{{ 2 ** 126 }} {{ 2 ** 127 }}
{{ 2 ** -1 }}
{{ 2 ** 3 ** 2 }}
{{ 9 * 9 ** 39 }}
{{ 170141183460469231731687303715884105727 + 1 }}
{{ 170141183460469231731687303715884105727 * 2 }}
{{ -170141183460469231731687303715884105727 - 2 }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1, 2] * 2 }} {{ 0 * 'x' }}
{{ 'ab' * -1 }}
{{ 'ab' * 1.5 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ [1] + 'a' }}
{{ none + 1 }}
{{ true + 1 }}
{{ true * 3 }} {{ true - false }}
{{ map + map }}
{{ 'a' - 'b' }}
{{ 'a' / 2 }}
{{ 'a' // 2 }}
{{ 'a' % 2 }}
{{ 'a' ** 2 }}
{{ [] - [] }}
{{ -number }} {{ -fraction }} {{ --number }} {{ - -1 }}
{{ -text }}
{{ -nothing }}
{{ -true }}
{{ +1 }}
{{ 1 ~ 2 }} {{ 1 ~ '-' ~ 2.0 }} {{ none ~ '' }}
{{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' == 'a' }} {{ none == none }} {{ [1] == [1.0] }} {{ 1 == '1' }}
{{ {'a': 1} == {'a': 1} }} {{ {'a': 1} != {'a': 2} }} {{ [] == {} }} {{ '' == none }} {{ false == none }}
{{ 1 < 2 }} {{ 2 <= 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ 1 < 1.5 }} {{ [1] < [2] }} {{ [1, 2] < [1] }}
{{ none < 1 }} {{ 1 < 'a' }} {{ true < 2 }} {{ 'a' < [] }} {{ [] < {} }} {{ none < true }} {{ 'z' > 9999 }}
{{ 1 < 2 == true }} {{ 3 > 2 > 0 }} {{ 1 < 2 < 3 }}
{{ 'a' in 'abc' }} {{ 'x' in 'abc' }} {{ 1 in [1, 2] }} {{ 'a' in map }} {{ 'z' in map }} {{ 1.0 in [1] }}
{{ 1 in 'a1' }} {{ none in [none] }} {{ [1] in [[1]] }}
{{ 1 in 5 }}
{{ 'a' in none }}
{{ 'a' in true }}
{{ 'a' not in 'abc' }} {{ not 'a' in 'abc' }} {{ 5 not in values }}
{{ true and false }} {{ true or false }} {{ 1 and 'x' }} {{ 0 or 'y' }} {{ '' or [] or none }} {{ 0 and undefined_x }}
{{ 1 and undefined_x }}
{{ undefined_x and 1 }}
{{ undefined_x or 1 }}
{{ 1 or undefined_x }}
{{ not undefined_x }}
{{ not 1 }} {{ not '' }} {{ not [] }} {{ not none }} {{ not 0.0 }} {{ not {} }} {{ not 'a' and 'b' }}
{{ 1 if true else 2 }} {{ 1 if false else 2 }} {{ 1 if false }}|{{ 1 if [] else 'no' }}
{{ (1 if false) is defined }} {{ (1 if false)|default('d') }}
{{ 'a' if number > 40 else 'b' if number > 30 else 'c' }}
{{ 1 if undefined_x else 2 }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 2 * 3 % 4 }} {{ 10 - 2 - 3 }}
{{ -2 ** 2 }} {{ 2 + -3 }} {{ 2 - -3 }}
{{ 'a' ~ 1 + 2 }}
{{ 1 + 2 ~ 'a' }}
{{ not true == false }}
{{ 5|abs + 1 }} {{ -5|abs }} {{ (-5)|abs }} {{ 'a'|upper ~ 'b'|upper }}
{{ 0.0 ** -1 }} {{ -0.0 ** -1 }} {{ (-0.0) ** -1 }} {{ 0.0 ** -2.0 }} {{ 2.0 ** 5000 }} {{ (-2.0) ** 5001 }} {{ (-2.0) ** 0.5 }}
{{ 1e308 * 10 // 1 }} {{ 1e308 * 10 % 3 }} {{ 1 % (1e308 * 10) }} {{ 'nan'|float // 1 }} {{ 5.5 // 'inf'|float }} {{ -5.5 // 'inf'|float }}
{{ 0 ** 5 }} {{ 1 ** 500 }} {{ (-1) ** 501 }} {{ 3 ** 80 }}
{{ 3 ** 81 }}
{{ (-2) ** 127 }}
{{ 1 == 'nan'|float }} {{ 'nan'|float == 'nan'|float }} {{ 'nan'|float < 1 }} {{ 1 < 'nan'|float }} {{ ['nan'|float, 1]|sort }}
{{ 1e20 == 100000000000000000000 }} {{ 9007199254740993 == 9007199254740992 }}
{{ undefined_x + 1 }}
{{ 1 + undefined_x }}
{{ undefined_x == 1 }}
{{ 1 == undefined_x }}
{{ undefined_x ~ 'a' }}
{{ 'a' in undefined_x }}
{{ undefined_x in 'a' }}
{{ undefined_x < 1 }}
{{ -undefined_x }}
{{ true is true and 1 is number or false }}
"""

ACCESS = r"""
{{ map.a }} {{ map['b'] }} {{ map.c }} {{ map.d[0] }} {{ map.d.1 }} {{ map.e.x }}
{{ map.zzz is defined }} {{ map['zzz'] is defined }} {{ map.zzz|default('d') }}
{{ map.zzz }}
{{ map.zzz.y }}
{{ map.zzz.y is defined }}
{{ undefined_x.y is defined }}
{{ undefined_x }}
{{ undefined_x['y'] }}
{{ undefined_x is defined }} {{ undefined_x is undefined }} {{ undefined_x is not defined }}
{{ undefined_x|default('d') }} {{ undefined_x|d }}| {{ nothing|default('d') }} {{ nothing|default('d', true) }}
{{ [undefined_x] }} {{ [undefined_x, 1]|length }} {{ {'a': undefined_x} }}
{{ values[0] }} {{ values[-1] }} {{ values[5] is defined }} {{ values[-4] is defined }} {{ values[1.0] }}
{{ values['a'] is defined }} {{ values.a is defined }} {{ text.a is defined }} {{ number.a is defined }}
{{ text[0] }} {{ text[-1] }} {{ text[50] is defined }} {{ umlaut[2] }}
{{ values[1:] }} {{ values[:1] }} {{ values[:-1] }} {{ values[::2] }} {{ values[::-1] }} {{ values[5:] }}
{{ text[1:3] }} {{ text[:-2] }} {{ text[::-1] }} {{ text[3:1] }} {{ text[::2] }} {{ text[-3:] }}
{{ values[none:2] }} {{ values[::none] }}
{{ values[::0] }}
{{ values['a':] }}
{{ nothing[1:] }}
{{ number[1:] }}
{{ map[1:] }}
{{ undefined_x[1:] }}
{{ range(10)[2:5] }} {{ range(10)[3] }} {{ range(10)[-1] }}
{{ deep.a.b.c[1].d }} {{ deep['a']['b']['c'][0] }}
{{ nothing.a is defined }}
{{ nothing.a.b is defined }}
{{ items[0].name }} {{ items[-1]['n'] }}
{{ text.upper() }}
{{ map.items() }}
{{ map.get('a') }}
{{ values.append(1) }}
{{ number.real }}
{{ undefined_x.foo() }}
{{ text.__class__ }}
{{ text['__class__'] }}
{{ ''.__class__.__mro__ }}
{{ range.__globals__ }}
{{ text() }}
{{ nothing() }}
{{ map.a() }}
{{ undefined_x() }}
{{ {1: 'one', 'b': 'two'}[1] }} {{ {1: 'one'}[1.0] }} {{ {true: 'yes'}[true] }}
{{ {'items': 5}.items }} {{ {'items': 5}['items'] }}
{{ map[nothing] is defined }} {{ map[0] is defined }} {{ map[values] is defined }}
{{ values[true] }}
{{ loop is defined }} {{ self is defined }} {{ caller is defined }} {{ super is defined }}
{{ dict(a=1, b=none) }} {{ dict() }} {{ dict({'a': 1}, b=2) }} {{ dict(**{'x': 1}) }}
{{ dict(1) }}
{{ range(1, 4) }} {{ range(0, 10, 3) }} {{ range(3, 0, -1) }} {{ range(0) }} {{ range(5, 1) }} {{ range(2)|length }}
{{ range(1, 2, 0) }}
{{ range('a') }}
{{ range() }}
{{ range(1, 2, 3, 4) }}
{{ range(1.5) }}
{{ range(100000)|length }}
{{ range(100001) }}
{{ range(*[1, 3]) }}
{{ namespace(a=1) }} {{ namespace({'a': 1}).a }}
{{ namespace(1) }}
"""

FILTERS = r"""
{{ text|upper }} {{ text|lower }} {{ text|title }} {{ text|capitalize }} {{ 'ünï-cöde straße'|title }} {{ 'ß'|upper }}
{{ 'foo-bar baz_qux 3rd (x)'|title }} {{ "it's o'neil"|title }}
{{ number|upper }} {{ nothing|upper }} {{ true|lower }} {{ [1]|upper }}
{{ undefined_x|upper }}
{{ undefined_x|lower }}
{{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 'abcba'|trim('ab') }} {{ 5|trim }}
{{ text|replace('o', '0') }} {{ text|replace('', '-') }} {{ 123|replace(2, 'x') }} {{ 'aaa'|replace('aa', 'b') }}
{{ text|replace('o') }}
{{ text|length }} {{ values|length }} {{ map|length }} {{ map|count }} {{ umlaut|length }} {{ ''|length }}
{{ number|length }}
{{ nothing|length }}
{{ undefined_x|length }}
{{ values|first }} {{ values|last }} {{ text|first }} {{ text|last }} {{ no_items|first is defined }} {{ ''|last is defined }}
{{ map|first }}
{{ map|last }}
{{ number|first }}
{{ undefined_x|first }}
{{ no_items|first }}
{{ values|join }} {{ values|join(', ') }} {{ words|join('-') }} {{ text|join('.') }} {{ map|join(',') }} {{ [none, true, 1.0]|join('/') }}
{{ number|join }}
{{ nothing|join }}|
{{ undefined_x|join }}
{{ [1, undefined_x]|join(',') }}
{{ values|join(3) }}
{{ values|sort }} {{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ values|sort(reverse=true) }}
{{ mixed|sort }}
{{ mixed|sort(reverse=true) }}
{{ items|sort(attribute='n')|map(attribute='name')|join }} {{ items|sort(attribute='name')|map(attribute='n')|join }}
{{ items|sort(attribute='name', case_sensitive=true)|map(attribute='name')|join }}
{{ items|sort(attribute='zzz')|length }}
{{ text|sort|join }}
{{ map|sort }}
{{ number|sort }}
{{ nothing|sort }}
{{ values|sort(foo=1) }}
{{ values|sort('n') }}
{{ map|dictsort }} {{ {'B': 1, 'a': 2}|dictsort }} {{ {'B': 1, 'a': 2}|dictsort(case_sensitive=true) }}
{{ {'a': 3, 'b': 1}|dictsort(by='value') }} {{ {'a': 3, 'b': 1}|dictsort(reverse=true) }}
{{ values|dictsort }}
{{ {'a': 3}|dictsort(by='zzz') }}
{{ map|items }} {{ no_map|items }}
{{ values|items }}
{{ undefined_x|items }}
{{ values|unique }} {{ words|unique }} {{ words|unique(case_sensitive=true) }} {{ [1, 1.0, true, '1', none, none]|unique }}
{{ items|unique(attribute='n')|length }}
{{ items|groupby('n') }}
{{ words|groupby('zzz') }}
{{ items|groupby(attribute='name')|length }} {{ items|groupby('zzz', default='d')|length }}
{% for key, group in [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}, {'a': 1, 'b': 'z'}]|groupby('a') %}{{ key }}:{{ group|map(attribute='b')|join }};{% endfor %}
{% for g in [{'a': 'X'}, {'a': 'x'}, {'a': 'Y'}]|groupby('a') %}{{ g.grouper }}={{ g.list|length }};{% endfor %}
{{ items|groupby }}
{{ values|min }} {{ values|max }} {{ words|min }} {{ words|max }} {{ no_items|min is defined }} {{ mixed|min }} {{ mixed|max }}
{{ text|min }}
{{ number|max }}
{{ values|sum }} {{ [1, 2.5]|sum }} {{ no_items|sum }} {{ [true, 1]|sum }}
{{ words|sum }}
{{ number|sum }}
{{ values|reverse }} {{ text|reverse }} {{ values|reverse|list }} {{ nothing|reverse }} {{ map|reverse|list }}
{{ number|reverse }}
{{ values|list }} {{ text|list }} {{ map|list }} {{ nothing|list }} {{ range(2)|list }} {{ 'a b'|split|list }}
{{ number|list }}
{{ undefined_x|list }}
{{ values|batch(2) }} {{ values|batch(2, 'x') }} {{ range(7)|batch(3)|list }} {{ no_items|batch(2) }}
{{ values|batch(0) }}
{{ values|batch('a') }}
{{ values|batch(-1) }}
{{ values|slice(2) }} {{ range(7)|slice(3) }} {{ range(7)|slice(3, 'x') }} {{ no_items|slice(2) }}
{{ values|slice(0) }}
{{ values|map('upper') }} {{ items|map(attribute='n') }} {{ items|map(attribute='zzz', default='d') }}
{{ items|map(attribute='zzz') }}
{{ words|map('replace', 'a', '4') }} {{ words|map('length')|sum }} {{ [[1, 2]]|map('join', '-') }}
{{ values|map }}
{{ values|map('zzz') }}
{{ values|map(attribute='a', foo=1) }}
{{ number|map('upper') }}
{{ values|select('odd') }} {{ values|reject('odd') }} {{ [0, 1, '', 'a', none]|select }} {{ [0, 1, '', 'a', none]|reject }}
{{ values|select('gt', 1) }} {{ values|select('>', 2) }} {{ values|select('zzz') }}
{{ items|selectattr('n', 'gt', 1)|map(attribute='name')|join }} {{ items|rejectattr('n', 'eq', 1)|length }}
{{ items|selectattr('zzz', 'defined')|list }} {{ items|selectattr('zzz', 'undefined')|length }} {{ items|selectattr('name')|length }}
{{ items|selectattr('zzz')|length }} {{ items|rejectattr('zzz')|length }}
{{ number|select }}
{{ map|tojson }} {{ mixed|tojson }} {{ umlaut|tojson }} {{ html|tojson }} {{ nothing|tojson }} {{ undefined_x|tojson }}
{{ [big, small, whole, 1e16, 1e-5, 0.00001234, 1e999]|tojson }}
{{ map|tojson(2) }} {{ map|tojson(indent=4) }} {{ map|tojson(true) }} {{ map|tojson(false) }} {{ no_map|tojson(2) }} {{ no_items|tojson(2) }}
{{ map|tojson('x') }}
{{ range(3)|tojson }} {{ {1: 2}|tojson }} {{ {true: 2}|tojson }}
{{ map|pprint }} {{ mixed|pprint }} {{ text|pprint }} {{ no_items|pprint }} {{ 1.0|pprint }}
{{ undefined_x|pprint }}
{{ html|escape }} {{ html|e }} {{ number|escape }} {{ html|safe }} {{ html|e|e }} {{ [html]|e }} {{ nothing|e }}
{{ undefined_x|escape }}
{{ undefined_x|safe }}
{{ 3.7|int }} {{ -3.7|int }} {{ (-3.7)|int }} {{ '42'|int }} {{ '4.9'|int }} {{ true|int }} {{ nothing|int }} {{ '1e3'|int }} {{ '-5'|int }}
{{ 'x'|int }}
{{ ''|int }}
{{ ' 4 '|int }}
{{ [1]|int }}
{{ undefined_x|int }}
{{ '3'|int(5) }}
{{ 3|float }} {{ '3.5'|float }} {{ true|float }} {{ nothing|float }} {{ 'inf'|float }} {{ 'nan'|float }} {{ '1e3'|float }} {{ '.5'|float }} {{ '5.'|float }}
{{ 'x'|float }}
{{ map|float }}
{{ undefined_x|float }}
{{ 1.5|round }} {{ 2.5|round }} {{ -2.5|round }} {{ (-2.5)|round }} {{ 1.2345|round(2) }} {{ 5|round }} {{ 1234.5|round(-2) }} {{ 0.5|round }} {{ 1.0|round(1) }}
{{ 'x'|round }}
{{ 1.5|round('a') }}
{{ -1|abs }} {{ (-1.5)|abs }} {{ (-1)|abs }} {{ 0|abs }}
{{ 'a'|abs }}
{{ true|abs }}
{{ undefined_x|abs }}
{{ 'a'|bool }} {{ ''|bool }} {{ 'false'|bool }} {{ 0|bool }} {{ [0]|bool }} {{ nothing|bool }} {{ 0.0|bool }}
{{ undefined_x|bool }}
{{ 'inf'|float|int }} {{ '-inf'|float|int }} {{ 'nan'|float|int }} {{ '1e40'|int }} {{ 1e40|int }} {{ '170141183460469231731687303715884105728'|int }}
{{ 'inf'|float }} {{ ['inf'|float, 'nan'|float] }} {{ 'nan'|float|tojson }} {{ '-inf'|float }} {{ '+5'|float }} {{ '1_000'|float }}
{{ 1.5|round(400) }} {{ 1.5|round(-400) }} {{ 1e308|round(5) }} {{ 'inf'|float|round }} {{ 'nan'|float|round(2) }} {{ 2.5|round(1.0) }} {{ 0.1|round(20) }}
{{ 1.5|round(true) }} {{ 2.675|round(2) }} {{ 1e15|round(3) }} {{ -0.4|round }} {{ (-0.4)|round }}
{{ [1e308, 1e308]|sum }} {{ [1, undefined_x, 2]|sum }} {{ [170141183460469231731687303715884105727]|sum }}
{{ [170141183460469231731687303715884105727, 1]|sum }}
{{ 'a b c d'|split(none, 2)|list }} {{ 'abc'|split('', 2)|list }} {{ 'a,b,c'|split(',', 0)|list }} {{ 'a,b'|split(',', -1)|list }} {{ ' a b '|split(' ')|list }}
{{ 'a b'|split(none, 'x') }}
{{ 'a,b'|split(1)|list }} {{ 'a1b'|split(1)|list }}
{{ '%c%c'|format(65, 'b') }} {{ '%5c|%-5c|'|format('a', 'b') }} {{ '%#x %#o %#X'|format(255, 8, 255) }} {{ '% d %+d %05d %-5d|'|format(1, 2, -3, 4) }}
{{ '%c'|format('ab') }}
{{ '%c'|format(-1) }}
{{ '%c'|format(1.0) }}
{{ '%(n)5d'|format(n='a') }}
{{ 'a%-5.2f'|format('a') }}
{{ '%d'|format(1.5) }}
{{ '%d'|format(true) }}
{{ '%f'|format('a') }}
{{ '%f %.0f %.3e %g %G'|format(1, 2.5, 12345, 1e-10, 1e20) }}
{{ '%s %s'|format(1) }}
{{ '%(a)s %(b)d'|format({'a': 1, 'b': 2}) }}
{{ '%(zzz)s'|format(a=1) }}
{{ '%i'|format(5) }}
{{ '%s'|format(undefined_x) }}
{{ {2: 'b', 1: 'a'}|dictsort }} {{ {2: 'b', 10: 'a'} }} {{ {'b': 1, 2: 3, none: 4}|length }}
{{ values|batch(2.0) }}
{{ values|batch(1.5) }}
{{ words|map('upper')|list|join }} {{ items|map(attribute='name')|sort|join }} {{ [[3, 1], [2]]|map('sort') }} {{ [[1, 2], [3]]|map('first') }}
{{ [[1, 2], [3, 4]]|map(attribute=1) }} {{ [[1, 2], [3, 4]]|map(attribute='0') }} {{ [{'a': {'b': 1}}]|map(attribute='a.b') }}
{{ [[1, 2], [0, 4]]|sort(attribute=0) }} {{ [{'a': {'b': 2}}, {'a': {'b': 1}}]|sort(attribute='a.b') }} {{ items|sort(attribute='name,n')|map(attribute='n')|join }}
{{ items|map('upper', attribute='n') }}
{{ 'x'|attr(0) is defined }} {{ values|attr(0) }}
{{ text|indent(-1) }}
{{ text|indent('x') }}
{{ map|length }} {{ range(5)|last }} {{ range(5)|first }} {{ range(5)|sum }} {{ range(5)|max }}
{{ {'a': 1, 'b': 2}|unique }} {{ 'hello'|unique }} {{ 'hello'|sort|join }} {{ 'banana'|groupby('x')|length }}
{{ 1|string }} {{ nothing|string }} {{ [1]|string }} {{ 'a'|string }} {{ 1.0|string }} {{ (1|string) is string }}
{{ undefined_x|string }}
{{ 'a b  c'|split|list }} {{ 'a,b,c'|split(',')|list }} {{ 'a,b,c'|split(',', 1)|list }} {{ 'a b c'|split(none, 1)|list }} {{ 'abc'|split('')|list }}
{{ ''|split|list }} {{ ''|split(',')|list }} {{ '  a  b '|split|list }} {{ 'a b c'|split(none, 0)|list }}
{{ 5|split }}
{{ undefined_x|split }}
{{ 'a b'|split|length }}
{{ 'a b'|split|first }} {{ 'a b'|split|last }} {{ ('a b'|split)[0] }}
{{ 'a\nb\r\nc'|lines }} {{ 'a\n'|lines }} {{ ''|lines }} {{ '\n\n'|lines }}
{{ 5|lines }}
{{ 'a\nb'|indent }} {{ 'a\nb'|indent(2) }} {{ 'a\n\nb'|indent(2, true) }} {{ 'a\n\nb'|indent(2, true, true) }} {{ 'a\nb\n'|indent(2) }} {{ 'a\nb'|indent(width=1, first=true) }}
{{ 5|indent }}
{{ undefined_x|indent }}
{{ map|attr('a') }} {{ map|attr('zzz') is defined }}
{{ undefined_x|attr('a') }}
{{ [1, 2]|chain([3]) }} {{ {'a': 1}|chain({'b': 2}) }} {{ 'ab'|chain([1])|list }} {{ [1]|chain(range(2))|list }}
{{ [1, 2]|zip(['a', 'b']) }} {{ [1, 2]|zip([3])|list }} {{ 'ab'|zip([1, 2], [3, 4])|list }}
{{ [1]|zip(5) }}
{{ '%s is %d'|format('x', 3) }} {{ '%05.2f|%-5s|%5s|%x|%X|%o|%e|%g|%c|%%|%+d'|format(3.14159, 'a', 'b', 255, 255, 8, 12345.678, 0.0001, 'x', 5) }}
{{ '%(a)s'|format(a=1) }} {{ '%s'|format(none) }} {{ '%s'|format([1]) }} {{ '%.2s'|format('abc') }}
{{ '%s'|format }}
{{ '%d'|format('a') }}
{{ '%z'|format(1) }}
{{ '%'|format(1) }}
{{ 5|format(1) }}
{{ text|zzz }}
{{ text|urlize }}
{{ text|center(20) }}
{{ text|wordcount }}
{{ text|upper|lower|title }} {{ (text|upper)[0] }} {{ text|default('x')|length }}
{{ text|upper(1) }}
{{ text|trim(1, 2) }}
{{ default }}
{{ 1|default }} {{ false_|default('x') }} {{ false_|default('x', true) }} {{ ''|default('x', boolean=true) }} {{ map.zzz|default(map.yyy)|default('z') }}
{{ undefined_x|default(1, 2, 3) }}
{{ undefined_x.y|default('d') }}
{{ [3, 1]|sort|first }} {{ values|sort|reverse|first }} {{ values|map('string')|join('+') }}
"""

TESTS = r"""
{{ number is number }} {{ fraction is number }} {{ text is number }} {{ true is number }} {{ nothing is number }}
{{ number is integer }} {{ whole is integer }} {{ fraction is float }} {{ number is float }} {{ number is int }} {{ true is integer }}
{{ text is string }} {{ 1 is string }} {{ nothing is none }} {{ 0 is none }} {{ undefined_x is none }}
{{ true is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }}
{{ values is sequence }} {{ text is sequence }} {{ map is sequence }} {{ range(2) is sequence }} {{ 'a'|split is sequence }}
{{ map is mapping }} {{ values is mapping }} {{ nothing is mapping }}
{{ values is iterable }} {{ text is iterable }} {{ map is iterable }} {{ number is iterable }} {{ nothing is iterable }} {{ 'a'|split is iterable }}
{{ 3 is odd }} {{ 4 is even }} {{ -3 is odd }} {{ 'a' is odd }} {{ 3.0 is odd }} {{ 2.5 is even }} {{ true is odd }}
{{ undefined_x is odd }}
{{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is divisibleby 2 }} {{ 9.0 is divisibleby 3 }}
{{ 9 is divisibleby }}
{{ text is startingwith 'Hell' }} {{ text is endingwith('ld') }} {{ text is startingwith 'x' }}
{{ 12 is startingwith 1 }}
{{ 'abc' is lower }} {{ 'Abc' is lower }} {{ 'ABC' is upper }} {{ '' is upper }} {{ '1' is lower }}
{{ 5 is lower }}
{{ 1 is eq 1 }} {{ 1 is equalto 2 }} {{ 1 is ne 2 }} {{ 1 is ne 1 }} {{ 'a' is ne 1 }}
{{ 1 is == 1 }}
{{ 1 is != 1 }}
{{ 1 is lt 2 }} {{ 1 is lessthan 2 }} {{ 1 is le 1 }} {{ 2 is gt 1 }} {{ 2 is greaterthan 3 }} {{ 2 is ge 2 }} {{ 'a' is lt 'b' }} {{ [] is lt {} }}
{{ 1 is < 2 }}
{{ undefined_x is eq 1 }}
{{ 1 is in [1] }} {{ 'a' is in 'abc' }} {{ 1 is in 5 }} {{ 'a' is in map }}
{{ 1 is sameas 1 }} {{ 1 is sameas 1.0 }} {{ 'a' is sameas 'a' }} {{ none is sameas none }} {{ 1 is sameas true }}
{{ 'upper' is filter }} {{ 'zzz' is filter }} {{ 'odd' is test }} {{ 'zzz' is test }}
{{ 5 is filter }}
{{ html is safe }} {{ html|safe is safe }} {{ html|e is escaped }} {{ number is safe }}
{{ 1 is zzz }}
{{ undefined_x is zzz }}
{{ number is callable }}
{{ number is not odd }} {{ not number is odd }} {{ number is odd or number is even }} {{ 4 is even and 3 is odd }}
{{ text is defined and text is string }} {{ undefined_x is defined and undefined_x.y }}
{{ 1 is number(2) }}
{{ 3 is divisibleby -3 }}
"""

STATEMENTS = r"""
{% if number == 42 %}yes{% elif true %}no{% else %}never{% endif %}
{% if no_items %}a{% elif no_map %}b{% elif nothing %}c{% elif '' %}d{% elif 0 %}e{% else %}f{% endif %}
{% if undefined_x %}a{% endif %}
{% if undefined_x is defined %}a{% else %}b{% endif %}
{% if not undefined_x %}a{% endif %}
{% for x in values %}{{ x }}{{ '-' if not loop.last }}{% endfor %}
{% for x in values %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in values %}{{ loop.previtem|default('-') }}{{ loop.nextitem|default('-') }}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}
{% for x in values %}{{ loop }}{% endfor %}
{% for x in no_items %}a{% else %}none{% endfor %}{% for x in values %}{% else %}none{% endfor %}
{% for k in map %}{{ k }}{% endfor %}
{% for k, v in map|items %}{{ k }}={{ v }};{% endfor %}
{% for k, v in map %}{{ k }}{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}
{% for a, b in [1] %}{{ a }}{% endfor %}
{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for c in 'aé世' %}{{ c }},{% endfor %}
{% for x in nothing %}a{% else %}e{% endfor %}
{% for x in number %}a{% endfor %}
{% for x in undefined_x %}a{% endfor %}
{% for x in true %}a{% endfor %}
{% for x in values if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}none{% endfor %}
{% for x in values if x > 9 %}{{ x }}{% else %}none{% endfor %}
{% for x in values %}{% for y in words %}{{ loop.depth }}{{ x }}{{ y }}{% endfor %}{{ loop.depth }}{% endfor %}
{% for x in values %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in values %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{{ loop.index }}{% endfor %}
{% for x in [{'n': 1, 'c': [{'n': 2, 'c': []}, {'n': 3, 'c': []}]}] recursive %}{{ x.n }}@{{ loop.depth }}{% if x.c %}[{{ loop(x.c) }}]{% endif %}{% endfor %}
{% for x in [[1, [2]], 3] recursive %}{{ loop(x) if x is iterable else x }},{% else %}e{% endfor %}
{% for x in values %}{{ loop(x) }}{% endfor %}
{% for x in [[1]] recursive %}{{ loop() }}{% endfor %}
{% for x in [[1]] recursive %}{{ loop(1) }}{% endfor %}
{% for x in values %}{{ loop.zzz is defined }}{{ loop['index'] }}{{ loop is mapping }}{% endfor %}
{% set a, b = {'x': 1, 'y': 2} %}{{ a }}{{ b }}
{% set a, b = 'xy' %}
{% for a, b in {'xy': 1} %}{{ a }}{% endfor %}
{% set f = range %}{{ f(2) }}{% macro m() %}x{% endmacro %}{% set g = m %}{{ g() }}{{ [m][0]() }}{{ {'m': m}.m() }}
{% set x = 5 %}{% macro m(x=x) %}{{ x }}{% endmacro %}{{ m() }}
{% macro m(a, b) %}{{ b is defined }}{% endmacro %}{{ m(1) }}{{ m(*[1, 2]) }}{{ m(**{'a': 1, 'b': 2}) }}
{% macro a() %}{% macro b() %}inner{% endmacro %}{{ b() }}{% endmacro %}{{ a() }}{{ b is defined }}
{% macro m() %}{{ caller('x') }}{% endmacro %}{% for x in values %}{% call(y) m() %}{{ x }}{{ y }}{{ loop is defined }}{% endcall %}{% endfor %}
{% call(a, b=2) dict() %}{% endcall %}
{% set x = namespace(a=namespace(b=1)) %}{{ x.a.b }}{{ x }}
{% set ns = namespace() %}{% set ns.x %}text{% endset %}{{ ns.x }}
{% for x in values %}{% macro m() %}{{ loop.index }}{% endmacro %}{{ m() }}{% for y in [1, 2] %}{{ m() }}{% endfor %}{% endfor %}
{% for x in [[1]] recursive %}{{ loop(undefined_x) }}{% endfor %}
{% for x in [[1]] recursive %}{{ loop(none) }}{% endfor %}
{% with ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}{% endwith %}
{% if number is odd %}{% elif number is even %}even{% endif %}{% if text == 'Hello World' %}same{% endif %}{% if nothing == 'x' %}never{% endif %}
{{ 'a' if text != 'b' and number > 1 or undefined_x }}
{% for x in values %}{% set y = x %}{% endfor %}{{ y is defined }}
{% for x in values %}{{ y is defined }}{% set y = x %}{% endfor %}
{% set y = 0 %}{% for x in values %}{% set y = y + x %}{% endfor %}{{ y }}
{% set ns = namespace(total=0) %}{% for x in values %}{% set ns.total = ns.total + x %}{% endfor %}{{ ns.total }} {{ ns }}
{% set ns = namespace() %}{{ ns.a is defined }}{% set ns.a = 1 %}{{ ns.a }}{{ ns is mapping }}
{% set map.a = 1 %}
{% set undefined_x.a = 1 %}
{% set x = 1 %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = [3, 4] %}{{ c }}{{ d }}
{% set x = 1, 2 %}{{ x }}
{% set a, b = 1 %}
{% set a, b = [1] %}
{% set x = undefined_x %}{{ x is defined }}
{% set x %}a{{ number }}b{% endset %}{{ x }}{{ x|length }}
{% set x | upper %}abc{% endset %}{{ x }}
{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}
{% set none = 1 %}
{% set loop = 1 %}
{% set self = 1 %}
{% set true = 1 %}
{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x is defined }}
{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}
{% with a = 1 %}{% with a = 2 %}{{ a }}{% endwith %}{{ a }}{% endwith %}
{% if true %}{% set x = 5 %}{% endif %}{{ x }}
{% filter upper %}abc {{ text }}{% endfilter %}
{% filter replace('a', 'b') | upper %}banana{% endfilter %}
{% filter zzz %}banana{% endfilter %}
{% raw %}{{ not }} {% rendered %}{% endraw %}
a {#- comment -#} b {# another #} c
{%- if true -%} a {%- endif -%} b
a {{- 1 -}} b {{ 2 -}} c {{- 3 }} d
a {%+ if true +%} b {% endif %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(a=5) }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m(undefined_x) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}
{% macro m(a=b, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m() %}{{ text }}{% endmacro %}{{ m() }} {{ m }} {{ m.name }} {{ m.arguments }} {{ m.caller }} {{ m is mapping }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 1 %}{{ m() }}
{% macro m() %}{{ x }}{% endmacro %}{% for x in values %}{{ m() }}{% endfor %}
{% for x in values %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}
{% macro m() %}{% set inner = 1 %}{{ inner }}{% endmacro %}{{ m() }}{{ inner is defined }}
{% macro fact(n) %}{% if n > 1 %}{{ n }}*{{ fact(n - 1) }}{% else %}1{% endif %}{% endmacro %}{{ fact(4) }}
{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}
{{ m() }}{% macro m() %}{% endmacro %}
{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}in {{ text }}{% endcall %}
{% macro m() %}({{ caller(1, 2) }}){% endmacro %}{% call(a, b) m() %}{{ a }}-{{ b }}{% endcall %}
{% macro m(x) %}({{ x }}{{ caller() }}){% endmacro %}{% call m(5) %}in{% endcall %}{% call m(x=6) %}in{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}in{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m() %}{{ varargs }}{% endmacro %}{{ m() }}
{% macro m() %}{{ kwargs }}{% endmacro %}{{ m() }}
{% macro m() %}{{ loop.index }}{% endmacro %}{% for x in values %}{{ m() }}{% endfor %}
{% call number() %}x{% endcall %}
{% do range(3) %}{% do namespace(a=1) %}done
{% do number %}
{% autoescape true %}{{ html }}{{ number }}{{ map }}{{ html|safe }}{{ nothing }}{{ '/' }}{% endautoescape %}{{ html }}
{% autoescape 'html' %}{{ html }}{% set x %}<{{ '<' }}{% endset %}{{ x }}{{ html|e }}{{ html|upper }}{% endautoescape %}
{% autoescape 'json' %}{{ html }}{{ map }}{{ nothing }}{{ 1.0 }}{{ text|safe }}{{ html|e }}{% endautoescape %}
{% autoescape false %}{{ html }}{% endautoescape %}{% autoescape none %}{{ html }}{% endautoescape %}
{% autoescape 'zzz' %}{{ html }}{% endautoescape %}
{% autoescape true %}{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m('<') }}{% endautoescape %}{{ m('<') }}
{% autoescape true %}{{ '<' ~ html|safe }}{{ '<'|safe ~ '>' }}{{ ['<'|safe]|join }}{{ html|tojson }}{% endautoescape %}
{% autoescape true %}{{ 'a<b'|replace('<', '>') }}{{ ('<'|safe) + '>' }}{{ '<'|safe|upper }}{{ '<'|safe|string }}{{ 1.5 }}{{ true }}{% endautoescape %}
{% break %}
{% continue %}
{% for x in values %}{% endfor %}{% break %}
{% zzz %}
{% print 1 %}
{% trans %}x{% endtrans %}
{% if %}
{% if true %}
{% for x in %}{% endfor %}
{% for x values %}{% endfor %}
{% endif %}
{{ 1 + }}
{{ (1 }}
{{ 'abc }}
{{ ! }}
{{ 1, 2 }}
{{ }}
{{ a b }}
{% set x %}
{% block a %}
{% block a %}x{% endblock b %}
{% set 1 = 2 %}
{% macro m(1) %}{% endmacro %}
{{ 99999999999999999999999999999999999999999999 }}
{{ [1, 2 }}
{{ {'a' 1} }}
{{ {'a': 1 } }}
{{ [1, 2,] }} {{ {'a': 1,} }}
{# unclosed
{% raw %}unclosed
"""

TEMPLATES = r"""
{% include 'greeting' %}
{% set who = 'me' %}{% include 'greeting' %}
{% with who = 'with' %}{% include 'greeting' %}{% endwith %}
{% include ['zzz', 'greeting'] %}
{% include 'zzz' ignore missing %}fine
{% include ['zzz', 'yyy'] ignore missing %}fine
{% include 'setter' %}{{ from_include }}
{% for x in values %}{% include 'loop_user' %}{% endfor %}
{% for x in values %}{% include 'setter' %}{% endfor %}{{ from_include is defined }}
{% include 'broken' %}
{% include 'self_include' %}
{% include 'greeting' with context %}
{% include number %}
{% include undefined_x %}
{% include 'greet' ~ 'ing' %}
{% include 'greeting' if number else 'zzz' %}
{% import 'macros' as m %}{{ m.tag('a') }}{{ m.tag('a', 1) }}{{ m.version }}{{ m.zzz is defined }}
{% import 'macros' as m %}{{ m }}
{% import 'macros' as m %}{{ m.zzz() }}
{% from 'macros' import tag, version as v %}{{ tag(v) }}
{% from 'macros' import zzz %}{{ zzz is defined }}
{% from 'macros' import wrap %}{% call wrap() %}{{ text }}{% endcall %}
{% import 'macros' as m %}{% call m.wrap() %}{{ text }}{% endcall %}
{% extends 'base' %}
{% extends 'base' %}{% block head %}mine{% endblock %}ignored
{% extends 'base' %}{% block body %}{{ super() }}+{{ self.head() }}{% endblock %}
{% extends 'middle' %}{% block head %}child({{ super() }}){% endblock %}
{% extends 'middle' %}{% block body %}{{ text }}{% endblock %}
{% set x = 1 %}{% extends 'base' %}{% set y = 2 %}{% block body %}{{ x }}{{ y }}{% endblock %}
before{% extends 'base' %}
{% if true %}{% extends 'base' %}{% endif %}after
{% if false %}{% extends 'base' %}{% endif %}after{% block head %}h{% endblock %}
{% extends 'base' %}{% extends 'base' %}
{% extends 'self_extend' %}
{% extends 'base' %}{% macro m() %}M{% endmacro %}{% block body %}{{ m() }}{% endblock %}
{% block a %}A{% endblock %}{{ self.a() }}
{% block a %}{% set x = 1 %}{{ x }}{% endblock %}{{ x is defined }}
{% for x in values %}{% block a %}{{ x }}{{ loop.index }}{% endblock %}{% endfor %}
{% block a %}1{% block b %}2{% endblock %}3{% endblock a %}
{% block a %}1{% endblock %}{% block a %}2{% endblock %}
{% block a %}{{ super() }}{% endblock %}
{{ super() }}
{% include 'base' %}{% include 'middle' %}
{% extends 'base' %}{% block body %}{% include 'greeting' %}{% endblock %}
"""


def snippets() -> list[str]:
    """Every snippet; one a line in the texts above."""
    texts = (PRINTING, OPERATORS, ACCESS, FILTERS, TESTS, STATEMENTS, TEMPLATES)
    return [line for text in texts for line in text.split("\n") if line]
