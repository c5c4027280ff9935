"""What a text with variables stands for in a request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platform.iam.reference import Caller

from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.iam.variables import template_of
from fogbank.platform.iam.wildcards import matcher_of

ANN = Caller("user", "111122223333", "arn:aws:iam::111122223333:user/ann")
SAID = ["a", "b/", "ab", "${aws:username}", "${aws:PrincipalTag/t, 'b'}", "${*}", "?", "*"]
TEXTS = st.text(alphabet="ab/*", max_size=6)


@given(
    said=st.lists(st.sampled_from(SAID), max_size=4),
    ends=st.sampled_from(["*", ""]),
    context=st.fixed_dictionaries(
        {},
        optional={
            "aws:username": st.sampled_from(["a", "b/", "", "*"]),
            "aws:PrincipalTag/t": st.just("a"),
        },
    ),
    text=TEXTS,
)
def test_a_template_matches_what_its_parts_match_once_they_are_bound(
    said: list[str], ends: str, context: dict[str, str], text: str
) -> None:
    template = template_of("".join(said) + ends, variables=True)
    request = AccessRequest(ANN, "s3:GetObject", "*", context)
    parts = template.bind(request)
    whole = "" if parts is None else "".join(each for each in parts if isinstance(each, str))
    for one in (text, whole, whole + text):
        expected = parts is not None and matcher_of(parts)(one)
        assert template.matches(request, one) is expected
        # Indexes trust these two.
        assert not expected or one.startswith(template.prefix)
        assert not template.is_prefix or expected == one.startswith(template.prefix)
