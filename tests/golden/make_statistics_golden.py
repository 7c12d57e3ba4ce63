#!/usr/bin/env python3
"""Writes statistics.json: paired tests by scipy, power by integration and by statsmodels.

usage: make_statistics_golden.py OUT.json
"""
import json
import math
import sys

import numpy
from scipy import integrate, optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower


def paired(a, b):
    """Two-sided tests of b - a."""
    result = stats.ttest_rel(b, a)
    interval = result.confidence_interval(0.95)
    flips = stats.permutation_test((b, a), lambda x, y, axis: numpy.mean(x - y, axis=axis), vectorized=True,
                                   permutation_type="samples", n_resamples=numpy.inf, batch=4096)
    d = numpy.subtract(b, a)
    return {"a": list(a), "b": list(b), "mean": d.mean(), "sd": d.std(ddof=1), "low": interval.low,
            "high": interval.high, "t": result.statistic, "p_t": result.pvalue, "p_flip": flips.pvalue}


def paired_cases():
    rng = numpy.random.default_rng(7)
    for n in (2, 3, 4, 5, 6, 8, 10, 13):
        for effect in (0.0, 0.3, 1.5):
            a = numpy.round(rng.normal(70, 1.5, n), 2)
            b = numpy.round(a + rng.normal(effect, 0.7, n), 2)
            yield paired(a, b)
    yield paired([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 9])  # many patterns have the same sum
    yield paired([10.1, 10.2, 10.3, 10.4], [10.2, 10.1, 10.4, 10.3])  # mean 0
    yield paired([50.0, 50.0, 50.0, 50.0, 50.0], [50.0, 50.0, 51.0, 50.0, 52.0])  # differences of 0
    yield paired([1e-3, 2e-3, 3e-3], [1.5e-3, 2.1e-3, 3.9e-3])


def power_of(df, noncentrality, critical):
    """P(|T| > critical): T is a normal about `noncentrality` over the root of chi square / df."""
    scale = (1 - df / 2) * math.log(2) - math.lgamma(df / 2)

    def above(z):
        return math.erfc(z / 2**0.5) / 2

    def weighted_tails(x):
        chi = math.exp((df - 1) * math.log(x) - x * x / 2 + scale)
        edge = critical * x / df**0.5
        return chi * (above(edge - noncentrality) + above(edge + noncentrality))

    kink = noncentrality * df**0.5 / critical
    top = df**0.5 + 12
    points = sorted({0.0, top} | {x for x in (kink / 2, kink, kink * 2, df**0.5, df**0.5 - 3) if 0 < x < top})
    return sum(integrate.quad(weighted_tails, x, y, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
               for x, y in zip(points, points[1:]))


def power_cases():
    for n in (2, 3, 5, 10, 20, 50):
        for level in (0.05, 0.05 / 4, 0.001):
            critical = stats.t.ppf(1 - level / 2, n - 1)
            for noncentrality in (0.0, 0.5, 2.0, 4.0, 8.0, 20.0):
                value = power_of(n - 1, noncentrality, critical)
                other = TTestPower().power(noncentrality / n**0.5, n, level)
                if numpy.isfinite(other):
                    assert abs(other - value) < 1e-7, (n, level, noncentrality, other, value)
                yield {"n": n, "level": level, "critical": critical, "noncentrality": noncentrality, "power": value}


def detectable_cases():
    """In standard deviations; each is put back into the integral above."""
    for n in (2, 3, 4, 5, 10, 20, 40):
        for level in (0.05, 0.01, 0.05 / 12):
            critical = stats.t.ppf(1 - level / 2, n - 1)
            high = optimize.brentq(lambda x: power_of(n - 1, x, critical) - 0.8, 0, 4 * critical + 4, xtol=1e-11)
            if n >= 5 and level == 0.05:
                other = TTestPower().solve_power(nobs=n, alpha=level, power=0.8)
                assert abs(other - high / n**0.5) < 1e-5, (n, level, other, high)
            yield {"n": n, "level": level, "power": 0.8, "effect": high / n**0.5}


def holm_cases():
    rng = numpy.random.default_rng(8)
    for n in (1, 2, 5, 12):
        p = rng.uniform(0, 1, n) ** 3
        yield {"p": list(p), "adjusted": list(multipletests(p, method="holm")[1])}
    p = [0.01, 0.01, 0.04, 0.5, 0.03, 0.9]
    yield {"p": p, "adjusted": list(multipletests(p, method="holm")[1])}


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


groups = {"tails": tail_cases, "paired": paired_cases, "power": power_cases, "detectable": detectable_cases,
          "holm": holm_cases}
with open(sys.argv[1], "w") as out:
    body = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(plain(case)) for case in make()) + "\n]"
                      for name, make in groups.items())
    out.write("{" + body + "}\n")
