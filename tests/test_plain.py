"""Forms of plain data: what is wrong is named with where it stands."""

import pytest

from yolo_prune.plain import brief, dict_of, link, list_of, number, optional, positive, record_of, text, whole

STAGE = record_of({"macs": positive, "name": text}, {"metrics": optional(dict_of(number)), "rounds": list_of(whole)})


@pytest.mark.parametrize(
    "value",
    [
        {"macs": 1, "name": "base"},
        {"macs": 0.5, "name": "", "metrics": None, "rounds": [], "unknown": object()},
        {"macs": 10**17, "name": "base", "metrics": {"a": -1.5}, "rounds": [0, -3]},
    ],
)
def test_data_of_the_form_is_accepted(value):
    assert STAGE(value, "") is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "it is []; it must be a dictionary"),
        ({"macs": 1}, "it lacks 'name'"),
        ({"macs": 0, "name": ""}, "macs is 0; it must be a number above 0"),
        ({"macs": True, "name": ""}, "macs is True; it must be a number above 0"),
        ({"macs": float("nan"), "name": ""}, "macs is nan; it must be a number above 0"),
        ({"macs": 10**400, "name": ""}, "macs is a huge number; it must be a number above 0"),
        ({"macs": 1, "name": None}, "name is None; it must be text"),
        ({"macs": 1, "name": "", "metrics": {"a\n": "1"}}, r"metrics['a\n'] is '1'; it must be a number"),
        ({"macs": 1, "name": "", "rounds": [1, 2.0]}, "rounds[1] is 2.0; it must be a whole number"),
        ({"macs": 1, "name": "", "rounds": {}}, "rounds is {}; it must be a list"),
    ],
)
def test_what_is_wrong_is_named_with_where_it_stands(value, problem):
    assert STAGE(value, "") == problem


def test_only_addresses_of_pages_are_links():
    assert link("https://docs.ultralytics.com", "source") is None
    assert link("javascript:alert(1)", "source") == (
        "source is 'javascript:alert(1)'; it must be an address that begins with https://"
    )


def test_a_value_in_a_message_takes_one_short_line():
    endless = []
    endless.append(endless)
    for value in ("a\nb" * 500, [[1]] * 9, {"a": {}}, endless, 10**400, object(), "\ud800"):
        shown = brief(value)
        assert len(shown) <= 210
        assert "\n" not in shown
    assert brief(["a", 1]) == "['a', 1]"
