"""Classes of a model and of a dataset, matched by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_prune import RequestError
from yolo_prune.host.classes import are_placeholders, class_filter, misfit, rows_by_name

OWN = {0: "Platelets", 1: "RBC", 2: "WBC"}
NAMES = st.lists(st.text("abcxyz", min_size=2, max_size=4), min_size=2, max_size=12, unique=True)


@given(NAMES, st.data())
def test_the_same_classes_in_any_order_fit_and_each_finds_its_own(names, data):
    own, wanted = dict(enumerate(names)), dict(enumerate(data.draw(st.permutations(names))))
    assert misfit(own, wanted) is None
    assert [own[row] for row in rows_by_name(own, wanted)] == [wanted[i] for i in range(len(wanted))]


@given(NAMES, st.data())
def test_one_class_of_another_name_does_not_fit(names, data):
    own, wanted = dict(enumerate(names)), dict(enumerate(data.draw(st.permutations(names))))
    wanted[data.draw(st.sampled_from(range(len(names))))] = "new"
    assert "new" in misfit(own, wanted)
    assert rows_by_name(own, wanted).count(-1) == 1


def test_the_case_of_a_name_and_spaces_around_it_do_not_matter():
    assert misfit(OWN, {0: "wbc ", 1: "rbc", 2: "PLATELETS"}) is None


def test_the_message_names_both_lists():
    message = misfit(OWN, {0: "Platelets", 1: "red", 2: "white"})
    assert message == "has the classes [Platelets, red, white] and the model [Platelets, RBC, WBC]"


def test_of_many_classes_the_message_names_those_that_differ():
    own = {i: f"kind {i}" for i in range(80)}
    assert misfit(own, own | {7: "seven"}) == "has the classes [seven] (of 80) and the model [kind 7] (of 80)"


def test_classes_without_names_are_matched_by_their_index():
    for names in ({0: "0", 1: "1", 2: "2"}, {0: "class_0", 1: "class_1", 2: "class_2"}):
        assert are_placeholders(names)
        assert misfit(OWN, names) is None
        assert misfit(names, OWN) is None
    assert "2 classes and the model 3" in misfit(OWN, {0: "0", 1: "1"})


def test_two_classes_of_one_name_are_not_reordered():
    twice = {0: "a", 1: "b", 2: "a"}
    assert misfit(twice, dict(twice)) is None
    assert misfit(twice, {0: "b", 1: "a", 2: "a"}) is not None


def test_a_filter_names_classes_of_the_dataset():
    assert class_filter(None, OWN) is None
    assert class_filter(1, OWN) == [1]
    assert class_filter([2, 0, 2], OWN) == [0, 2]


@pytest.mark.parametrize("asked", [3, [0, 3], -1, "RBC", ["RBC"], [], [True], 1.0])
def test_a_filter_that_names_no_class_is_refused(asked):
    with pytest.raises(RequestError, match="classes is"):
        class_filter(asked, OWN)
