"""The naming rule and the wording of choices."""

import pytest

from tetviz.summaries.names import policy_words


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("random weight; hold bias, norm, neuron", "weights moved; biases, norms and neurons fixed"),
        ("random weight, bias; scale norm; hold neuron", "weights and biases moved; norms scaled; neurons fixed"),
        ("", ""),
        ("something else", "something else"),
    ],
)
def test_policies_are_told_in_words(policy: str, words: str) -> None:
    assert policy_words(policy) == words
