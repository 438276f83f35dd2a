import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.counting import count
from yolo_prune import RequestError, criteria
from yolo_prune.criteria.expression import evaluate, normalized, parse

SCORES = {
    "l1": {"a": torch.tensor([1.0, 2.0, 3.0]).double(), "b": torch.tensor([10.0, 30.0]).double()},
    "taylor": {"a": torch.tensor([0.3, 0.1, 0.2]).double(), "b": torch.tensor([0.0, 0.4]).double()},
}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("l1", "mean(l1)"),
        ("taylor", "global(taylor)"),
        ("0.5*l1 + .5 * taylor", "0.5*mean(l1) + 0.5*global(taylor)"),
        ("bn-scale*taylor:weight", "mean(bn-scale)*global(taylor:weight)"),
        ("2*(rank(l1)+max(l2))", "2*(rank(l1) + max(l2))"),
        ("zscore(l1) + 0.1*zscore(l2)", "zscore(l1) + 0.1*zscore(l2)"),
    ],
)
def test_an_expression_says_in_full_what_it_does(text, written):
    assert str(parse(text)) == written
    assert parse(written) == parse(text)


def test_a_family_stands_for_its_best_variant():
    name = parse("expressiveness").criterion.name
    assert name.startswith("expressiveness:")
    assert name in criteria.names()


def test_a_normalisation_holds_where_none_is_named():
    assert str(parse("l1 + mean(taylor)", normalize="rank")) == "rank(l1) + mean(taylor)"


def test_sums_and_products_are_those_of_the_normalised_scores():
    result = evaluate(parse("0.5*max(l1) + 2*mean(l1)*max(taylor)"), SCORES)
    assert result["a"].tolist() == pytest.approx([0.5 / 3 + 1.0, 1 / 3 + 2 / 3, 0.5 + 2.0])
    assert result["b"].tolist() == pytest.approx([0.5 / 3, 0.5 + 3.0])


def test_global_keeps_the_scale_between_groups_and_the_others_do_not():
    scores = SCORES["l1"]
    assert torch.cat(list(normalized(scores, "global").values())).mean() == pytest.approx(1)
    assert normalized(scores, "global")["b"][0] == pytest.approx(10 * normalized(scores, "global")["a"][0])
    assert {float(v.mean()) for v in normalized(scores, "mean").values()} == {1.0}
    assert {float(v.max()) for v in normalized(scores, "max").values()} == {1.0}
    assert normalized(scores, "rank")["a"].tolist() == [0, 0.5, 1]
    zscore = normalized(scores, "zscore")["a"]
    assert (float(zscore.mean()), float(zscore.std(correction=0))) == pytest.approx((0, 1))


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    how=st.sampled_from(criteria.NORMALISATIONS),
)
def test_no_normalisation_changes_the_order_in_a_group(values, how):
    group = torch.tensor(values).double()
    result = normalized({"a": group, "b": torch.zeros(3).double()}, how)
    assert torch.isfinite(result["a"]).all()
    lower = group[:, None] < group[None, :]
    assert (result["a"][:, None] <= result["a"][None, :])[lower].all()
    equal = group[:, None] == group[None, :]
    assert (result["a"][:, None] == result["a"][None, :])[equal].all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("expresiveness", "'expresiveness' is not known; did you mean 'expressiveness'"),
        ("0.5*l1 + magic", "'magic' is not known"),
        ("l1 +", "ends too early"),
        ("", "ends too early"),
        ("l1 l2", "'l2' is not expected"),
        ("l1 - l2", "'-' is not expected"),
        ("-1*l1", "sums, products and weights of 0 or more"),
        ("(l1 + l2", "bracket is not closed"),
        ("median(l1)", "'median' is no normalisation; there are: mean, max, rank, zscore, global"),
        ("0.5", "no criterion"),
        ("l1 @ l2", "'@ l2' is not understood"),
        ("zscore(l1)*l2", "cannot be multiplied"),
    ],
)
def test_what_is_no_expression_is_refused_and_shown(text, problem):
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert problem in str(caught.value)
    assert "not known" in problem or repr(text) in str(caught.value)


PIECES = [*"0123456789.+-*/() eE_:,", "l2", "taylor", "rank", "mean", "zscore"]


@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_text_whatever_breaks_the_parser(text):
    count("fuzzed requests, plans and expressions")
    try:
        parsed = parse(text)
    except RequestError:
        return
    assert parse(str(parsed)) == parsed
