"""Batches of P identities with K samples each: who is in them, how often, and from which numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcvbench_networks.embedding.batches import identity_batches


def epoch(identities, size: int, samples: int, seed: int = 0) -> list[list[int]]:
    return [
        batch.tolist() for batch in identity_batches(identities, size, samples, torch.Generator().manual_seed(seed))
    ]


def test_even_data_are_dealt_out_once_in_full_batches():
    identities = np.repeat(np.arange(12), 8)

    batches = epoch(identities, 16, 4)

    assert sorted(place for batch in batches for place in batch) == list(range(96))
    assert all(sorted(Counter(identities[batch]).values()) == [4] * 4 for batch in batches)


counts = st.lists(st.integers(1, 30), min_size=2, max_size=12)


@given(counts, st.integers(2, 6), st.integers(2, 5), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_every_batch_has_different_identities_and_no_sample_twice(sizes, width, samples, seed):
    identities = np.repeat(np.arange(len(sizes)), sizes)
    batches = epoch(identities, width * samples, samples, seed)

    for batch in batches:
        held = Counter(identities[batch].tolist())
        assert len(set(batch)) == len(batch)
        assert len(held) == min(width, len(sizes))
        assert all(count == min(samples, sizes[identity]) for identity, count in held.items())
    groups = sum(-(-size // samples) for size in sizes)
    assert len(batches) == -(-groups // min(width, len(sizes)))


@given(counts, st.integers(2, 6), st.integers(2, 5), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_every_sample_is_seen_but_those_of_an_identity_too_large_for_the_epoch(sizes, width, samples, seed):
    identities = np.repeat(np.arange(len(sizes)), sizes)
    batches = epoch(identities, width * samples, samples, seed)

    seen = Counter(place for batch in batches for place in batch)
    for identity, size in enumerate(sizes):
        own = np.flatnonzero(identities == identity).tolist()
        if -(-size // samples) <= len(batches):
            assert all(seen[place] for place in own)
        else:
            assert sum(seen[place] for place in own) == samples * len(batches)


def test_faces_of_uneven_numbers_are_seen_about_once():
    rng = np.random.default_rng(0)
    sizes = np.minimum(rng.zipf(1.7, 600), 60)
    identities = np.repeat(np.arange(600), sizes)

    seen = np.bincount(np.concatenate(epoch(identities, 64, 4)), minlength=len(identities))

    assert seen.min() == 1
    assert seen.max() <= 3
    assert seen.mean() < 1.3


def test_those_with_one_sample_are_spread_over_batches_and_do_not_fill_them():
    identities = np.concatenate([np.repeat(np.arange(20), 4), np.arange(100, 160)])

    pairs = [sum(count > 1 for count in Counter(identities[batch]).values()) for batch in epoch(identities, 16, 4)]

    assert set(pairs) == {1}  # 20 groups of 4 in 20 batches


def test_which_batches_an_identity_is_in_says_nothing_about_another():
    identities = np.repeat(np.arange(8), 8)  # 2 groups each, in 4 batches of 4
    together = Counter()
    for seed in range(300):
        for batch in epoch(identities, 16, 4, seed):
            held = sorted(set(identities[batch].tolist()))
            together.update((one, other) for place, one in enumerate(held) for other in held[place + 1 :])

    assert len(together) == 28
    assert min(together.values()) > 0.8 * max(together.values())


def test_the_order_comes_from_the_generator_alone():
    identities = np.repeat(np.arange(9), 7)
    generator = torch.Generator().manual_seed(4)
    first, second = ([batch.tolist() for batch in identity_batches(identities, 12, 3, generator)] for _ in range(2))
    torch.manual_seed(99)
    np.random.default_rng(99)

    assert first == epoch(identities, 12, 3, 4)
    assert first != second
    assert first != epoch(identities, 12, 3, 5)


def test_what_is_drawn_between_batches_changes_none_of_them():
    identities = np.repeat(np.arange(9), 7)
    generator = torch.Generator().manual_seed(4)
    batches = []
    for batch in identity_batches(identities, 12, 3, generator):
        batches.append(batch.tolist())
        torch.rand(5, generator=generator)

    assert batches == epoch(identities, 12, 3, 4)


def test_names_serve_as_identities_and_places_are_indices():
    (batch,) = identity_batches(["b", "a", "b", "a"], 4, 2, torch.Generator().manual_seed(0))

    assert batch.dtype == torch.int64
    assert sorted(batch.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(("size", "samples"), [(7, 4), (16, 1)])
def test_batches_without_room_for_two_pairs_are_refused(size, samples):
    with pytest.raises(ValueError, match=rf"at least 2 samples a batch, got {size} by {samples}\.$"):
        epoch([0, 0, 1, 1], size, samples)


@pytest.mark.parametrize("identities", [[], [3, 3, 3]])
def test_a_lone_identity_is_refused(identities):
    with pytest.raises(ValueError, match=r"^wanted at least 2 identities, got [01]: one alone has no negatives\.$"):
        epoch(identities, 8, 4)
