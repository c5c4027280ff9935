"""PartiQL: what is read, what is refused and in which words, and which keys a condition fixes.

Source: Amazon DynamoDB Developer Guide, "PartiQL for DynamoDB"; the parity project's conformance suite,
whose answers were recorded from DynamoDB (tier2/partiql, tier3/error-messages/partiqlGrammar and
partiqlFunctions).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions.syntax import condition_text, update_text
from fogbank.services.dynamodb.rules.partiql import plans
from fogbank.services.dynamodb.rules.partiql.parser import parse
from fogbank.services.dynamodb.rules.partiql.plans import Reading, placeholders_of, reading_of
from fogbank.services.dynamodb.schema import KeyAttribute, TableRecord

MALFORMED = "Statement wasn't well formed, can't be processed: "
LEFTOVER = f"{MALFORMED}Unexpected token after expression"
OVERFLOW = (
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
)
TABLE = TableRecord(
    name="T",
    id="00000000-0000-0000-0000-000000000000",
    digest_key=b"k" * 16,
    partition=KeyAttribute("pk", "S"),
    sort=KeyAttribute("sk", "S"),
    billing_mode="PAY_PER_REQUEST",
    read_units=0,
    write_units=0,
    deletion_protected=False,
    created_ms=0,
)


def message(statement: str, *parameters: Any) -> str:
    """Return how a statement is refused."""
    with pytest.raises(ValidationException) as refused:
        plan(statement, parameters)
    return refused.value.message


def plan(statement: str, parameters: Any) -> None:
    """Hold a statement against the table."""
    found = parse(statement)
    placeholders = placeholders_of(found, parameters)
    if found.kind == "Insert":
        plans.item_of(found, placeholders)
    elif found.kind == "Select":
        reading_of(found, placeholders, ["pk"], ["sk"])
    else:
        plans.require_key(found, TABLE, placeholders)
        plans.expressions_of(found, placeholders)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a = 1 AND b <> 'x' OR NOT c < 2", "(a = :0 AND b <> :1) OR NOT c < :2"),
        ("a != ?", "a <> :0"),
        ("(a = 1 OR b = 2) AND c = 3", "(a = :0 OR b = :1) AND c = :2"),
        ("a BETWEEN 1 AND 2 AND b = 3", "a BETWEEN :0 AND :1 AND b = :2"),
        ("a NOT BETWEEN 1 AND 2", "NOT a BETWEEN :0 AND :1"),
        ("a IN [1, ?] OR b NOT IN (3)", "a IN (:0, :1) OR NOT b IN (:2)"),
        ("a IS MISSING AND b IS NOT MISSING", "attribute_not_exists(a) AND NOT attribute_not_exists(b)"),
        ("a IS NULL AND b IS NOT STRING", "attribute_type(a, :0) AND NOT attribute_type(b, :1)"),
        ("ATTRIBUTE_EXISTS(a) = true", "attribute_exists(a)"),
        ("begins_with(a, 'x') = false", "NOT begins_with(a, :0)"),
        ("contains(a, 'x') <> true", "NOT contains(a, :0)"),
        ('size(a.b[0]."c d") >= 3', "size(a.b[0].c d) >= :0"),
        ("a['b'] = 1", "a.b = :0"),
        ("NOT NOT attribute_type(a, 'SS')", "NOT NOT attribute_type(a, :0)"),
    ],
)  # fmt: skip
def test_conditions_are_the_trees_of_expressions(written: str, read: str) -> None:
    where = parse(f'SELECT * FROM "T" WHERE {written}').where
    assert where is not None
    assert condition_text(where) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("SET a = 1, b.c[1] = ? REMOVE d, e", "SET a = :0, b.c[1] = :1 REMOVE d, e"),
        ("SET a = a + 1 SET b = c - ?", "SET a = a + :0, b = c - :1"),
        ("SET l = list_append(l, [1])", "SET l = list_append(l, :0)"),
        ("SET s = set_add(s, <<'x'>>) SET n = SET_DELETE(n, ?)", "ADD s :0 DELETE n :1"),
    ],
)
def test_changes_are_the_trees_of_expressions(written: str, read: str) -> None:
    for statement in (f"UPDATE T {written} WHERE pk = 'x'", f"FROM T WHERE pk = 'x' {written}"):
        update = parse(statement).update
        assert update is not None
        text = update_text(update)
        shift = 1 if statement.startswith("FROM") else 0
        for number in range(2 if shift else 0):  # the condition's value comes first
            text = text.replace(f":{number + shift}", f":{number}")
        assert text == read


def test_words_of_statements_are_read_in_any_case_with_comments_between() -> None:
    found = parse(
        "-- a note\nselect a.b[0], \"c\" /* two\nlines */ from T.\"i-1\" where pk = 'it''s' order by sk desc -- end"
    )
    assert [column.name for column in found.columns] == ["b[0]", "c"]
    assert (found.kind, found.table, found.index, found.order) == (
        "Select",
        "T",
        "i-1",
        ("sk", True),
    )
    assert plans.placeholders_of(found, []).value.__self__._values == {":0": {"S": "it's"}}
    assert (
        parse("UPDATE T SET a = 1 WHERE pk = 'x' RETURNING MODIFIED OLD *").returning
        == "UPDATED_OLD"
    )
    assert parse("DELETE FROM T WHERE pk = 'x' RETURNING ALL OLD *").returning == "ALL_OLD"
    assert parse("EXISTS(SELECT * FROM T WHERE pk = 'x' AND a = 1)").kind == "Exists"


def test_items_hold_every_type_and_parameters_anywhere() -> None:
    statement = parse(
        "INSERT INTO T VALUE {'pk': ?, 'n': -.73e1, 't': true, 'z': null, 'l': [1, ?],"
        " 'm': {'x': <<?, 'b'>>}, 'ns': <<2, 1>>}"
    )
    given = [{"S": "p"}, {"B": b"\0"}, {"S": "a"}]
    assert plans.item_of(statement, placeholders_of(statement, given)) == {
        "pk": {"S": "p"},
        "n": {"N": "-7.3"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"B": b"\0"}]},
        "m": {"M": {"x": {"SS": ["a", "b"]}}},
        "ns": {"NS": ["2", "1"]},
    }
    whole = parse("INSERT INTO T VALUE ?")
    assert plans.item_of(whole, placeholders_of(whole, [{"M": {"a": {"N": "1.0"}}}])) == {
        "a": {"N": "1"}
    }


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECTT * FROMM T", f"{MALFORMED}Expected data manipulation"),
        ("", f"{MALFORMED}Expected data manipulation"),
        ("SELECT * FROM T WHERE pk = 1 foo", LEFTOVER),
        ("SELECT * FROM T WHERE pk = 1 e5", LEFTOVER),
        ("SELECT * FROM T WHERE pk = 1)", LEFTOVER),
        ("SELECT * FROM T ORDER BY pk WHERE pk = 1", LEFTOVER),
        ("INSERT INTO T VALUE {'pk': 1} foo", LEFTOVER),
        ("INSERT INTO T t VALUE {'pk': 1}", LEFTOVER),
        ("UPDATE T SET a = 9 WHERE pk = 1 foo", LEFTOVER),
        ("DELETE FROM T WHERE pk = 1 ORDER BY pk", LEFTOVER),
        ("SELECT * FROM T WHERE pk = 1e2147483648", MALFORMED),
        ("SELECT * FROM T WHERE pk = 1e99999999999", MALFORMED),
        ("SELECT * FROM T WHERE pk = 1.5e-2147483647", MALFORMED),
        ("SELECT * FROM T WHERE pk = 1 # note", MALFORMED),
        ("SELECT * FROM T WHERE pk = 1 /* note", MALFORMED),
        ("SELECT * FROM T t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM T AS t WHERE pk = 'x'", "Aliasing is not supported"),
        ("UPDATE T t SET a = 3 WHERE pk = 'x'", "Aliasing is not supported"),
        ("DELETE FROM T t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM T WHERE pk = 1e126", f"{OVERFLOW} under root"),
        ("INSERT INTO T VALUE {'pk': 1e126}", f"{OVERFLOW} under root"),
        ("INSERT INTO T VALUE {'pk': 1, 'm': {'x': 1e126}}", f"{OVERFLOW} under root.x"),
        ("INSERT INTO T VALUE {'pk': 1, 'l': [1, 1e126]}", f"{OVERFLOW} under root[1]"),
        ("INSERT INTO T (a, b) VALUES (?, ?)", f"{MALFORMED}Unexpected token"),
        ("SELECT attribute_exists(a) FROM T", "Unexpected path component at 1:8:16"),
        ("SELECT * FROM T WHERE EXISTS(a)", "Unrecognized function: exists at 1:23:6"),
        ("SELECT * FROM T\nWHERE set_add(s, <<1>>) = s", "Unrecognized function: set_add at 2:7:7"),
        ("UPDATE T SET a = if_not_exists(a, 1)", "Unrecognized function: if_not_exists at 1:18:13"),
        ("SELECT * FROM T WHERE attribute_exists(m.inner)", f"{MALFORMED}Invalid path dot component"),
        ("UPDATE T SET m.inner = 1", f"{MALFORMED}Invalid path dot component"),
        ("UPDATE T SET t = set_add(ss, <<'x'>>)",
         "The first argument to SET_ADD must equal the assignment value at 1:18:7"),
        ("UPDATE T SET s = set_add(<<'a'>>, <<'b'>>)",
         "The first argument to SET_ADD must equal the assignment value at 1:18:7"),
        ("UPDATE T SET ss = set_delete(ss)", "SET_DELETE must have exactly two arguments at 1:19:10"),
        ("UPDATE T SET ss = set_add(ss, 'x') WHERE pk = 'a' AND sk = 'b'",
         "The second argument to SET_ADD must be a value with type SET at 1:27:2"),
        ("UPDATE T SET ss = set_add(ss, b)",
         "The second argument to SET_ADD must be a value with type SET at 1:27:2"),
        ("UPDATE T SET ss = set_add(ss, <<>>)", "Empty bags are not supported"),
        ("INSERT INTO T VALUE {'s': <<1, 'a'>>}",
         "Sets hold strings, numbers or binaries, and one sort of them"),
        ("INSERT INTO T VALUE {'s': <<'x', 'x'>>}",
         "One or more parameter values were invalid: Input collection [x, x] contains duplicates."),
        ("INSERT INTO T VALUE {'a': 'x', 's': set_add(<<'a'>>, <<'b'>>)}",
         "Unsupported data type: set_add under key root at 1:37:7"),
        ("INSERT INTO T VALUE ?", "Number of parameters in request and statement don't match."),
        ("SELECT * FROM T WHERE pk < true",
         "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        ("SELECT * FROM T WHERE attribute_exists('a')",
         "Operator or function requires a document path; operator or function: attribute_exists"),
        ("SELECT * FROM T WHERE attribute_exists()",
         ("Incorrect number of operands for operator or function;"
         " operator or function: attribute_exists, number of operands: 0")),
        ("DELETE FROM T WHERE pk = 'x'",
         "Where clause does not contain a mandatory equality on all key attributes"),
        ("UPDATE T SET a = 1 WHERE pk = 'x' OR sk = 'y'",
         "Where clause does not contain a mandatory equality on all key attributes"),
        ("DELETE FROM T WHERE pk = 'x' RETURNING ALL NEW *", "DELETE can return ALL OLD * only"),
        ("SELECT * FROM T ORDER BY sk",
         "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("SELECT * FROM T WHERE sk = 'x' ORDER BY sk",
         ("Must have at least one non-optional hash key condition in WHERE clause when using"
         " ORDER BY clause.")),
        ("SELECT * FROM T WHERE pk = 'x' ORDER BY a",
         "Variable reference a in ORDER BY clause must be part of the primary key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_the_words_of_dynamodb(statement: str, words: str) -> None:
    assert message(statement) == words


def reading(where: str, *parameters: Any, partition: list[str] | None = None) -> Reading:
    """Return what a SELECT with a condition reads."""
    found = parse(f"SELECT * FROM T WHERE {where}")
    return reading_of(found, placeholders_of(found, parameters), partition or ["pk"], ["sk"])


def shown(where: str, **more: Any) -> Any:
    """Return the ranges that are read, each as text."""
    ranges = reading(where, **more).ranges
    if ranges is None:
        return None
    return [
        " ".join(
            f"{name}{term.operator}{','.join(str(*value.values()) for value in term.values)}"
            for name, term in terms.items()
        )
        for terms in ranges
    ]


@pytest.mark.parametrize(
    ("where", "ranges"),
    [
        ("pk = 'a'", ["pk=a"]),
        ("'a' = pk AND 'b' < sk", ["pk=a sk>b"]),
        ("pk = 'a' AND begins_with(sk, 'b') AND c = 1", ["pk=a skbegins_withb"]),
        ("pk = 'a' AND sk BETWEEN 'b' AND 'c'", ["pk=a skBETWEENb,c"]),
        ("pk = 'a' AND sk > 'b' AND sk = 'c'", ["pk=a sk=c"]),
        ("pk IN ['a', 'b', 'a'] AND sk = 'c'", ["pk=a", "pk=b sk=c"]),
        ("pk = 'a' OR pk = 'b' AND sk <= 'c'", ["pk=a", "pk=b sk<=c"]),
        ("pk = 'a' AND sk = '1' OR pk = 'a' AND NOT sk = '2'", ["pk=a"]),
        ("pk = 'a' AND (c = 1 OR d = 2)", ["pk=a"]),
        ("(pk = 'a' OR pk = 'b') AND (sk = 'c' OR sk = 'd')", ["pk=a", "pk=b"]),
        ("pk = 'a' OR c = 1", None),
        ("pk <> 'a'", None),
        ("pk > 'a'", None),
        ("NOT pk = 'a'", None),
        ("sk = 'a'", None),
        ("pk.x = 'a'", None),
        ("pk IN [" + ",".join(f"'{n}'" for n in range(101)) + "]", None),
    ],
)
def test_only_keys_that_can_hold_answers_are_read(where: str, ranges: list[str] | None) -> None:
    assert shown(where) == ranges


def test_a_partition_key_of_several_attributes_is_fixed_by_all_of_them() -> None:
    assert shown("a = '1' AND b = '2' AND sk = '3'", partition=["a", "b"]) == ["a=1 b=2 sk=3"]
    assert shown("a = '1' AND sk = '3'", partition=["a", "b"]) is None


VALUES = ["1", "2", "3"]
LEAVES = st.builds(
    "{} {} '{}'".format,
    st.sampled_from(["pk", "sk", "c"]),
    st.sampled_from(["=", "<>", "<", ">="]),
    st.sampled_from(VALUES),
) | st.builds("pk IN ['{}', '{}']".format, st.sampled_from(VALUES), st.sampled_from(VALUES))
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT {}".format, inner),
    ),
    max_leaves=6,
)
ITEMS = [
    {"pk": {"S": pk}, "sk": {"S": sk}, "c": {"S": c}} for pk in VALUES for sk in VALUES for c in VALUES
]  # fmt: skip


def _is_in(item: dict[str, dict[str, str]], terms: Any) -> bool:
    compare = {"=": str.__eq__, "<": str.__lt__, ">=": str.__ge__}
    return all(
        compare[term.operator](item[name]["S"], term.values[0]["S"]) for name, term in terms.items()
    )


@settings(max_examples=200, deadline=None)
@given(WHERES)
def test_every_answer_lies_in_exactly_one_of_the_ranges(where: str) -> None:
    found = reading(where)
    if found.ranges is None:
        return
    assert found.filter is not None
    for item in ITEMS:
        lying = sum(_is_in(item, terms) for terms in found.ranges)
        assert lying <= 1
        assert lying or not found.filter.holds(item)


@given(st.text(alphabet="SELECT FROMWHERE'\"?*.,()[]{}<>=-/0123456789eE#pk\n", max_size=60))
def test_any_text_is_a_statement_or_is_refused(text: str) -> None:
    for whole in (text, f"SELECT * FROM T WHERE {text}", f"INSERT INTO T VALUE {text}"):
        try:
            kind = parse(whole).kind
        except ValidationException:
            continue
        assert kind in ("Select", "Insert", "Update", "Delete", "Exists")


def test_statements_nest_no_deeper_than_the_stack_allows() -> None:
    for deep in ("(" * 5_000 + "a = 1", "NOT " * 5_000 + "a = 1", "a = " + "[" * 5_000):
        with pytest.raises(ValidationException, match="nested too deeply"):
            parse(f"SELECT * FROM T WHERE {deep}")
