"""Prints the constants of tests/statistics.rs. Needs scipy (1.17 was used); exact values come from `fractions`.

    python crates/cdpo-report/tests/reference_values.py
"""

from fractions import Fraction
from math import comb

from scipy.stats import binomtest, norm

print("z_95", repr(norm.ppf(0.975)))

for successes, trials in [(0, 10), (1, 10), (5, 10), (27, 50), (50, 50), (742, 1319), (400, 1000000)]:
    ci = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    print("wilson", successes, trials, repr(float(ci.low)), repr(float(ci.high)))

for b, c in [(0, 1), (0, 5), (1, 9), (3, 7), (10, 25), (59, 60), (180, 240), (1900, 2100), (4800, 5200), (0, 1000)]:
    n, k = b + c, min(b, c)
    exact = min(Fraction(1), Fraction(2 * sum(comb(n, i) for i in range(k + 1)), 2**n))
    print("mcnemar", b, c, repr(float(exact)), "scipy", repr(float(binomtest(k, n, 0.5).pvalue)))

for n, c, k in [(64, 20, 1), (64, 1, 64), (64, 20, 8), (64, 2, 32), (5, 2, 2), (1000, 3, 500), (200, 199, 2)]:
    print("pass_at_k", n, c, k, repr(float(1 - Fraction(comb(n - c, k), comb(n, k)))))
