#!/usr/bin/env python3
"""Writes statistics.json: paired tests and noncentral t distributions as scipy computes them.

usage: make_statistics_golden.py OUT.json
"""
import json
import sys

import numpy
from scipy import optimize, stats


def paired(a, b):
    """Two-sided tests of b - a."""
    result = stats.ttest_rel(b, a)
    interval = result.confidence_interval(0.95)
    flips = stats.permutation_test((b, a), lambda x, y, axis: numpy.mean(x - y, axis=axis), vectorized=True,
                                   permutation_type="samples", n_resamples=numpy.inf)
    d = numpy.subtract(b, a)
    return {"a": list(a), "b": list(b), "mean": d.mean(), "sd": d.std(ddof=1), "low": interval.low,
            "high": interval.high, "t": result.statistic, "p_t": result.pvalue, "p_flip": flips.pvalue}


def paired_cases():
    rng = numpy.random.default_rng(7)
    for n in (2, 3, 4, 5, 6, 8, 10, 12):
        for effect in (0.0, 0.3, 1.5):
            a = numpy.round(rng.normal(70, 1.5, n), 2)
            b = numpy.round(a + rng.normal(effect, 0.7, n), 2)
            yield paired(a, b)
    yield paired([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 9])  # many patterns have the same sum
    yield paired([10.1, 10.2, 10.3, 10.4], [10.2, 10.1, 10.4, 10.4])
    yield paired([50.0, 50.0, 50.0, 50.0, 50.0], [50.0, 50.0, 51.0, 50.0, 52.0])  # differences of 0
    yield paired([1e-3, 2e-3, 3e-3], [1.5e-3, 2.1e-3, 3.9e-3])


def power_of(df, noncentrality, critical):
    """Both tails; the lower one is not computed where it is far below rounding."""
    lower = stats.nct.cdf(-critical, df, noncentrality) if noncentrality < 3 else 0.0
    return 1 - stats.nct.cdf(critical, df, noncentrality) + lower


def power_cases():
    for n in (2, 3, 5, 10, 20, 50):
        for level in (0.05, 0.05 / 4):
            critical = stats.t.ppf(1 - level / 2, n - 1)
            for noncentrality in (0.1, 0.5, 2.0, 4.0, 8.0):
                value = power_of(n - 1, noncentrality, critical)
                if numpy.isfinite(value):
                    yield {"n": n, "level": level, "critical": critical, "noncentrality": noncentrality,
                           "power": value}


def detectable_cases():
    """In standard deviations."""
    for n in (3, 4, 5, 10, 20, 40):
        for level in (0.05, 0.05 / 3):
            critical = stats.t.ppf(1 - level / 2, n - 1)
            high = optimize.brentq(lambda x: power_of(n - 1, x, critical) - 0.8, 2, 14, xtol=1e-11)
            yield {"n": n, "level": level, "power": 0.8, "effect": high / n**0.5}


def tail_cases():
    for df in (1, 2, 3, 4, 9, 19, 99):
        for t in (0.0, 0.1, 1.0, 2.5, 12.0, 1e3):
            yield {"df": df, "t": t, "p": 2 * stats.t.sf(t, df)}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return float(value) if not isinstance(value, int) else value


groups = {"tails": tail_cases, "paired": paired_cases, "power": power_cases, "detectable": detectable_cases}
body = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(plain(case)) for case in make()) + "\n]"
                  for name, make in groups.items())
with open(sys.argv[1], "w") as out:
    out.write("{" + body + "}\n")
