"""Prints the constants of tests/ranking.rs. Needs numpy and scipy (1.17 was used); expectations over ties are exact fractions.

    python crates/cdpo-report/tests/ranking_values.py
"""

from fractions import Fraction
from math import ceil

import numpy as np
from scipy.stats import bootstrap, mannwhitneyu, rankdata


def values(seed, tokens, levels):
    """The values of `fn values` in ranking.rs: a linear congruential generator's upper bits, so that both make the same ones."""
    state, out = seed, []
    for _ in range(tokens):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(float((state >> 33) % levels))
    return out


for seed, tokens, levels, truth in [(1, 40, 1000, 7), (2, 40, 6, 11), (3, 7, 3, 0), (4, 123, 40, 122), (5, 2, 2, 1), (6, 31, 1, 4)]:
    v = values(seed, tokens, levels)
    others = v[:truth] + v[truth + 1:]
    u = mannwhitneyu([v[truth]], others, method="asymptotic").statistic
    # Ranks 1.. from the highest value; ties share first..last.
    first = int(rankdata([-x for x in v], method="min")[truth])
    last = int(rankdata([-x for x in v], method="max")[truth])
    ranks = range(first, last + 1)
    share = lambda k: Fraction(sum(r <= k for r in ranks), len(ranks))
    mrr = sum(Fraction(1, r) for r in ranks) / len(ranks)
    numbers = [share(1), share(3), share(ceil(tokens / 10)), mrr]
    print(seed, tokens, levels, truth, *[repr(float(n)) for n in numbers], repr(float(u / (tokens - 1))))

# The bootstrap of a mean: the interval of ranking.rs is from 20,000 resamples by another generator, so it agrees to the simulation's error.
v = np.array(values(7, 33, 1000)) / 1000
ci = bootstrap((v,), np.mean, n_resamples=200000, method="percentile", rng=np.random.default_rng(0)).confidence_interval
print("bootstrap", repr(float(v.mean())), repr(float(ci.low)), repr(float(ci.high)))
