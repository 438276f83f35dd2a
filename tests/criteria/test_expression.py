import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.counting import count
from yolo_prune import criteria
from yolo_prune.criteria.expression import evaluate, has_negative_scores, normalized, parse, terms
from yolo_prune.errors import RequestError

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
def test_an_expression_is_written_with_all_its_normalisations(text, written):
    assert str(parse(text)) == written
    assert parse(written) == parse(text)


def test_a_family_stands_for_its_best_variant():
    name = parse("expressiveness").criterion.name
    assert name.startswith("expressiveness:")
    assert name in criteria.names()


def test_a_criterion_without_a_normalisation_gets_its_own():
    for name in criteria.names():
        assert str(parse(name)) == f"{criteria.get(name).scale}({name})"
    assert str(parse("l1 + mean(taylor) + taylor")) == "mean(l1) + mean(taylor) + global(taylor)"


def test_terms_come_from_left_to_right():
    expression = parse("2*(rank(l1) + taylor)*max(l2)")
    assert [str(term) for term in terms(expression)] == ["rank(l1)", "global(taylor)", "max(l2)"]


@pytest.mark.parametrize(
    ("text", "negative"), [("l1 + zscore(l2)", True), ("0.1*(zscore(l2))", True), ("l1*l2", False)]
)
def test_only_a_zscore_is_negative(text, negative):
    assert has_negative_scores(parse(text)) == negative


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
        ("expresiveness", "'expresiveness' does not exist; did you mean 'expressiveness'"),
        ("0.5*l1 + magic", "'magic' does not exist"),
        ("l1 +", "ends too early"),
        ("", "ends too early"),
        ("l1 l2", "'l2' is not expected"),
        ("l1 - l2", "'-' is not expected"),
        ("-1*l1", "sums, products and weights of 0 or more"),
        ("(l1 + l2", "bracket is not closed"),
        ("median(l1)", "'median' is no normalisation; there are: mean, max, rank, zscore, global"),
        ("0.5", "no criterion"),
        ("1e999*l1", "the weight 1e999 is too large"),
        ("l1 @ l2", "'@ l2' is not understood"),
        ("zscore(l1)*l2", "cannot be multiplied"),
    ],
)
def test_a_text_that_is_no_expression_is_refused_and_quoted(text, problem):
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert problem in str(caught.value)
    assert "does not exist" in problem or repr(text) in str(caught.value)


PIECES = [*"0123456789.+-*/() eE_:,", "l2", "taylor", "rank", "mean", "zscore"]


@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_every_text_is_parsed_or_refused(text):
    count("fuzzed requests, plans and expressions")
    try:
        parsed = parse(text)
    except RequestError:
        return
    assert parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["(" * 100, "+".join(["l1"] * 5000)])
def test_an_expression_that_is_too_long_is_refused_in_one_short_line(text):
    with pytest.raises(RequestError, match="it is too long; 1000 characters and 50 brackets are read") as caught:
        parse(text)
    assert len(str(caught.value)) < 500
