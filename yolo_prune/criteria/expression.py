"""Expressions of criteria, such as "0.5*expressiveness + 0.5*taylor": parsing and evaluation.

An expression names criteria, says how their scores are normalised, and combines them:

expression := product {"+" product}
product    := factor {"*" factor}
factor     := number | criterion | normalisation "(" criterion ")" | "(" expression ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import torch

from yolo_prune.criteria.criterion import Criterion, get
from yolo_prune.errors import RequestError
from yolo_prune.plain import brief

# Ways to make the scores of groups comparable. "mean" and "max" divide the scores of a group by their mean or maximum.
# "rank" replaces them by ranks from 0 to 1 in each group. "zscore" gives each group mean 0 and standard deviation 1.
# "global" divides all scores by their mean over all groups, so that the ratios between groups stay.
NORMALISATIONS = ("mean", "max", "rank", "zscore", "global")
LONGEST, MOST_BRACKETS = 1000, 50  # characters and brackets of an expression

Scores = dict[str, torch.Tensor]  # one score for each unit, by the name of the group


@dataclass(frozen=True)
class Number:
    """A constant, of 0 or more."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Term:
    """A criterion and the name of its normalisation."""

    criterion: Criterion
    normalisation: str

    def __str__(self) -> str:
        return f"{self.normalisation}({self.criterion.name})"


@dataclass(frozen=True)
class Combination:
    """A sum or a product of at least two parts; the operator is "+" or "*"."""

    operator: str
    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        bracketed = [f"({part})" if self.operator == "*" and _is_sum(part) else str(part) for part in self.parts]
        return (" + " if self.operator == "+" else "*").join(bracketed)


Expression = Number | Term | Combination


def parse(text: str) -> Expression:
    """Parse an expression.

    Args:
        text: e.g. "expressiveness" or "0.7*rank(expressiveness) + 0.3*rank(taylor)". A criterion without a
            normalisation gets its own default, `Criterion.scale`.

    Raises:
        RequestError: the text is no expression, names a criterion that does not exist, or multiplies negative scores.
    """
    parser = _Parser(text)
    expression = parser.sum()
    if parser.ahead is not None:
        parser.refuse(f"{parser.ahead!r} is not expected")
    if not terms(expression):
        parser.refuse("there is no criterion in it")
    return expression


def terms(expression: Expression) -> list[Term]:
    """Return the terms of an expression, from left to right."""
    if isinstance(expression, Combination):
        return [term for part in expression.parts for term in terms(part)]
    return [expression] if isinstance(expression, Term) else []


def has_negative_scores(expression: Expression) -> bool:
    """Return whether scores may be below 0. Such scores cannot be multiplied, or divided by costs."""
    return any(term.normalisation == "zscore" for term in terms(expression))


def evaluate(expression: Expression, scores: Mapping[str, Scores]) -> Scores:
    """Return one score for each unit of every group.

    Args:
        expression: to evaluate.
        scores: of every criterion of the expression, by its name and the name of the group, each (units).
    """
    if isinstance(expression, Term):
        return normalized(scores[expression.criterion.name], expression.normalisation)
    groups = next(iter(scores.values()))
    if isinstance(expression, Number):
        return {group: torch.full_like(values, expression.value) for group, values in groups.items()}
    parts = [evaluate(part, scores) for part in expression.parts]
    combine = torch.sum if expression.operator == "+" else torch.prod
    return {group: combine(torch.stack([part[group] for part in parts]), 0) for group in groups}


def normalized(scores: Scores, how: str) -> Scores:
    """Return scores that are comparable between groups, by one of NORMALISATIONS. Groups with zeros only stay zero."""
    if how == "global":
        mean = torch.cat(list(scores.values())).mean()
        return {group: values / mean if mean > 0 else values for group, values in scores.items()}
    return {group: _normalized(values, how) for group, values in scores.items()}


def _normalized(values: torch.Tensor, how: str) -> torch.Tensor:
    if how == "rank":
        lower = (values.unsqueeze(0) < values.unsqueeze(1)).sum(1)
        equal = (values.unsqueeze(0) == values.unsqueeze(1)).sum(1)
        return (lower + (equal - 1) / 2).double() / max(1, len(values) - 1)
    if how == "zscore":
        deviation = values.std(correction=0)
        return (values - values.mean()) / deviation if deviation > 0 else torch.zeros_like(values)
    scale = values.mean() if how == "mean" else values.max()
    return values / scale if scale > 0 else torch.zeros_like(values)


def _is_sum(expression: Expression) -> bool:
    return isinstance(expression, Combination) and expression.operator == "+"


class _Parser:
    """A recursive-descent parser: each rule of the grammar is a method that takes its tokens off the front."""

    TOKEN = re.compile(r"\s*(\d+(?:\.\d*)?(?:e-?\d+)?|\.\d+|[a-z][a-z0-9]*(?:[-:][a-z0-9]+)*|[-+*/()])", re.IGNORECASE)

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[str] = []
        position = 0
        if len(text) > LONGEST or text.count("(") > MOST_BRACKETS:
            self.refuse(f"it is too long; {LONGEST} characters and {MOST_BRACKETS} brackets are read")
        while text[position:].strip():
            match = self.TOKEN.match(text, position)
            if match is None:
                self.refuse(f"{text[position:].strip()!r} is not understood")
            self.tokens.append(match[1])
            position = match.end()

    @property
    def ahead(self) -> str | None:
        """The next token; None at the end."""
        return self.tokens[0] if self.tokens else None

    def sum(self) -> Expression:
        return self._chain("+", self.product)

    def product(self) -> Expression:
        product = self._chain("*", self.factor)
        if isinstance(product, Combination) and product.operator == "*":
            scored = [part for part in product.parts if terms(part)]
            if len(scored) > 1 and any(has_negative_scores(part) for part in scored):
                self.refuse("a zscore is negative for half of the channels and cannot be multiplied by another score")
        return product

    def factor(self) -> Expression:
        token = self.tokens.pop(0) if self.tokens else None
        if token is None:
            self.refuse("it ends too early")
        if token == "(":
            inner = self.sum()
            self._close()
            return inner
        if token[0].isdigit() or token[0] == ".":
            if not math.isfinite(float(token)):
                self.refuse(f"the weight {token} is too large")
            return Number(float(token))
        if not token[0].isalpha():
            self.refuse(f"{token!r} is not expected; there are sums, products and weights of 0 or more")
        if self.ahead == "(":
            if token not in NORMALISATIONS:
                self.refuse(f"{token!r} is no normalisation; there are: {', '.join(NORMALISATIONS)}")
            self.tokens.pop(0)
            name = self.tokens.pop(0) if self.tokens else ""
            criterion = get(name)
            self._close()
            return Term(criterion, token)
        criterion = get(token)
        return Term(criterion, criterion.scale)

    def _chain(self, operator: str, part) -> Expression:
        parts = [part()]
        while self.ahead == operator:
            self.tokens.pop(0)
            parts.append(part())
        return parts[0] if len(parts) == 1 else Combination(operator, tuple(parts))

    def _close(self) -> None:
        if self.ahead != ")":
            self.refuse("a bracket is not closed")
        self.tokens.pop(0)

    def refuse(self, why: str) -> NoReturn:
        """Raise RequestError with the text and the reason."""
        raise RequestError(f'criterion {brief(self.text)}: {why}; write e.g. "0.5*expressiveness + 0.5*taylor"')
