"""Elementwise operations, reductions, losses, normalisers, data movement, optimisers.

Gradients come from autograd. The optimisers are torch.optim.SGD and torch.optim.AdamW over several
steps; LARS is written here from the published algorithm (You, Gitman, Ginsburg 2017) in the form
that self-supervised recipes use: trust ratio before momentum, learning rate outside of it.
"""

import torch
import torch.nn.functional as F

from make_ops_golden import seed, values

RELU, RELU6, GELU, TANH, SIGMOID, EXP, LOG, SQRT, SQUARE, ABS, AFFINE, CLAMP = range(1, 13)
ADD, SUB, MUL, DIV, MAX, MIN = range(1, 7)
SUM, MEAN, MAXIMUM = range(1, 4)
F32, BF16, I32, I64, U8 = range(1, 6)
ACTIVE, ADAPT = 1, 2


def grads(y, dy, *x):
    return torch.autograd.grad(y, x, dy)


def wanting(x):
    return x.requires_grad_(True)


def number(value):
    """A 0-d value of a schedule, exact in single precision."""
    return torch.tensor(value).float().double()


def unary(add):
    functions = {
        "relu": (RELU, torch.relu, -1, 1, 0, 0),
        "relu6": (RELU6, F.relu6, -3, 9, 0, 0),
        "gelu": (GELU, F.gelu, -4, 4, 0, 0),
        "tanh": (TANH, torch.tanh, -3, 3, 0, 0),
        "sigmoid": (SIGMOID, torch.sigmoid, -5, 5, 0, 0),
        "exp": (EXP, torch.exp, -4, 3, 0, 0),
        "log": (LOG, torch.log, 0.125, 8, 0, 0),
        "sqrt": (SQRT, torch.sqrt, 0.125, 8, 0, 0),
        "square": (SQUARE, torch.square, -2, 2, 0, 0),
        "abs": (ABS, torch.abs, -2, 2, 0, 0),
        "affine": (AFFINE, lambda x: -0.75 * x + 0.5, -2, 2, -0.75, 0.5),
        "clamp": (CLAMP, lambda x: x.clamp(-0.5, 1), -2, 2, -0.5, 1.0),
    }
    for name, (kind, f, low, high, a, b) in functions.items():
        seed("unary" + name)
        x = values(5, 7, low=low, high=high)
        if name in ("relu", "relu6", "abs", "clamp"):  # where the functions bend
            x[0, :4] = torch.tensor([0.0, 6.0, -0.5, 1.0], dtype=torch.float64)
        attrs = {"kind": kind, "a": a, "b": b}
        y, dy = f(wanting(x)), values(5, 7)
        add("unary", name, attrs, [x], [y])
        add("unary_grad", name, attrs, [dy, x, y], grads(y, dy, x))


def binary(add):
    functions = {ADD: torch.add, SUB: torch.sub, MUL: torch.mul, DIV: torch.div,
                 MAX: torch.maximum, MIN: torch.minimum}
    shapes = [((3, 5), (3, 5)), ((2, 3, 5, 7), (7,)), ((4, 1), (1, 6)), ((3, 5), ()),
              ((), (3, 5)), ((3, 1, 5), (4, 1))]
    for (kind, f), (a_shape, b_shape) in zip(functions.items(), shapes):
        seed(f"binary{kind}")
        a, b = values(*a_shape), values(*b_shape, low=0.5, high=2)
        add("binary", f.__name__, {"kind": kind}, [a, b], [f(a, b)])


def reduce(add):
    functions = {SUM: torch.sum, MEAN: torch.mean, MAXIMUM: torch.amax}
    for kind, dims, keep in [(SUM, (0,), 0), (SUM, (1, 2), 1), (MEAN, (1, 2), 0),
                             (MEAN, (0, 1, 2, 3), 0), (MAXIMUM, (3,), 0), (MAXIMUM, (0, 2), 1)]:
        name = f"{kind}-over-{''.join(map(str, dims))}"
        seed("reduce" + name)
        x = wanting(values(2, 3, 5, 7))
        y = functions[kind](x, dim=dims, keepdim=bool(keep))
        attrs = {"kind": kind, "axes": sum(1 << d for d in dims), "keep": keep}
        add("reduce", name, attrs, [x], [y])
        dy = values(*y.shape)
        dx, = grads(y, dy, x)
        if kind == MAXIMUM:
            add("reduce_max_grad", name, attrs, [dy, x], [dx])
        elif keep or not y.shape:
            count = x.numel() // y.numel()
            add("broadcast", name, {"scale": 1 / count if kind == MEAN else 1.0, "rank": 4,
                                    "shape": list(x.shape)}, [dy], [dx])
    seed("reduce-ties")  # torch.max over one dimension gives its gradient to one of equal maxima
    x = wanting(torch.tensor([[1., 3, 3, 2], [5, 5, 5, 5]], dtype=torch.float64))
    y = torch.max(x, dim=1).values
    dy = values(2)
    add("reduce_max_grad", "ties", {"kind": MAXIMUM, "axes": 2}, [dy, x], grads(y, dy, x))
    x = values(3, 1)
    add("broadcast", "column", {"scale": 0.5, "rank": 2, "shape": [3, 5]}, [x],
        [0.5 * x.expand(3, 5)])


def plain(add):
    seed("plain")
    x = values(3, 7, low=-300, high=300)
    add("cast", "to-f32", {"dtype": F32}, [x], [x])
    add("cast", "to-i64", {"dtype": I64}, [x], [x.to(torch.int64)])
    x = values(3, 7, low=0, high=255.9)
    add("cast", "to-u8", {"dtype": U8}, [x], [x.to(torch.uint8)])
    add("copy", "f32", {}, [x], [x])
    y = values(3, 7)
    add("accumulate", "f32", {}, [x, y], [x + y], {0: 1})
    m = number(0.9)
    add("lerp", "centre", {}, [y, x, m], [torch.lerp(x, y, m)], {0: 0})


def softmax(add):
    for name, log, scale, centred in [("plain", 0, 1.0, 0), ("log", 1, 10.0, 0),
                                      ("centred", 0, 1.0, 1), ("log-centred", 1, 0.5, 1)]:
        seed("softmax" + name)
        x = wanting(values(2, 3, 19))
        shift = values(19) if centred else None
        factor = number(25.0) if centred else None
        z = (x - (shift if centred else 0)) * scale * (factor if centred else 1)
        y = (F.log_softmax if log else F.softmax)(z, dim=-1)
        dy = values(2, 3, 19)
        attrs = {"scale": scale, "log": log}
        add("softmax", name, attrs, [x, shift, factor], [y])
        add("softmax_grad", name, attrs, [dy, y, factor], grads(y, dy, x))


def cross_entropy(add):
    for name, n, k, scale in [("plain", 5, 19, 1.0), ("temperature", 3, 7, 5.0),
                              ("one", 1, 10, 0.5)]:
        seed("cross_entropy" + name)
        x = wanting(values(n, k, low=-3, high=3))
        labels = torch.randint(k, (n,))
        loss = F.cross_entropy(x * scale, labels)
        lse = torch.logsumexp(x * scale, dim=1)
        dloss = number(0.75)
        attrs = {"scale": scale}
        add("cross_entropy", name, attrs, [x, labels], [loss, lse])
        add("cross_entropy_grad", name, attrs, [dloss, x, labels, lse], grads(loss, dloss, x))


def pair_cross_entropy(add):
    dino = [[0, 0.2, 0.05, 0.05], [0.2, 0, 0.05, 0.05]]
    for name, v, g, b, k, scale, weights in [("dino", 4, 2, 3, 19, 10.0, dino),
                                             ("view-in-no-pair", 3, 1, 2, 7, 5.0,
                                              [[0, 0.4, 0.6]]),
                                             ("one", 1, 1, 1, 33, 1.0, [[1]])]:
        seed("pair_cross_entropy" + name)
        x = wanting(values(v * b, k))
        targets = F.softmax(values(g * b, k) * 4, dim=1).float().double()
        if name == "one":  # targets need not sum to 1
            targets = values(g * b, k, low=0)
        w = torch.tensor(weights).double()
        # Spelled out with torch's own cross-entropy for probabilities, one pair at a time.
        pairs = torch.zeros(g, v, dtype=torch.float64)
        loss = torch.zeros((), dtype=torch.float64)
        for t in range(g):
            for s in range(v):
                if weights[t][s]:
                    pair = F.cross_entropy(x[s * b:(s + 1) * b] * scale,
                                           targets[t * b:(t + 1) * b])
                    pairs[t, s] = pair.detach()
                    loss = loss + w[t, s].float().double() * pair
        w = w.float().double()
        used = (w.sum(0) > 0).double().repeat_interleave(b)
        lse = torch.logsumexp(x * scale, dim=1) * used
        dloss = number(1.5)
        attrs = {"scale": scale, "views": v, "targets": g}
        add("pair_cross_entropy", name, attrs, [x, targets, w], [loss, pairs, lse])
        add("pair_cross_entropy_grad", name, attrs, [dloss, x, targets, w, lse],
            grads(loss, dloss, x))


def normalisers(add):
    for name, shape, eps in [("rows", (5, 19), 1e-12), ("tokens", (2, 3, 7), 1e-12),
                             ("vector", (33,), 1e-12), ("some-below-eps", (7, 3), 1.0)]:
        seed("l2_normalize" + name)
        x = wanting(values(*shape))
        y, dy = F.normalize(x, dim=-1, eps=eps), values(*shape)
        norm = x.norm(dim=-1)
        add("l2_normalize", name, {"eps": eps}, [x], [y, norm])
        add("l2_normalize_grad", name, {"eps": eps}, [dy, y, norm], grads(y, dy, x))
    for name, o, i, gain in [("odd", 5, 19, 1), ("fixed-gain", 7, 16, 0)]:
        seed("weight_norm" + name)
        layer = torch.nn.utils.parametrizations.weight_norm(
            torch.nn.Linear(i, o, bias=False, dtype=torch.float64))
        g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        with torch.no_grad():
            g.copy_(values(o, 1, low=0.5, high=2))
            v.copy_(values(o, i))
        w, dw = layer.weight, values(o, i)
        norm = v.norm(dim=1)
        dg, dv = grads(w, dw, g, v)
        add("weight_norm", name, {}, [v, g], [w, norm])
        add("weight_norm_grad", name, {"want_gain": gain}, [dw, v, g, norm],
            [dv, dg if gain else None])
    for name, o, i in [("odd", 5, 19), ("wide", 3, 64)]:
        seed("normed_linear" + name)
        layer = torch.nn.utils.parametrizations.weight_norm(
            torch.nn.Linear(i, o, bias=False, dtype=torch.float64))
        g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        with torch.no_grad():
            g.copy_(values(o, 1, low=0.5, high=2))
            v.copy_(values(o, i))
        x = wanting(values(2, 2, i))
        y, dy, norm = layer(x), values(2, 2, o), v.norm(dim=1)
        dx, dv = grads(y, dy, x, v)
        add("normed_linear", name, {}, [x, v, g], [y, norm])
        add("normed_linear_grad_input", name, {}, [dy, v, g, norm], [dx])
        add("normed_linear_grad_weight", name, {}, [x, dy, y, v, g, norm], [dv])


def movement(add):
    seed("movement")
    a, b, c = values(2, 1, 5), values(2, 4, 5), values(2, 2, 5)
    add("concat", "tokens", {"axis": 1}, [a, b, c], [torch.cat([a, b, c], 1)])
    a, b = values(3, 5), values(2, 5)
    add("concat", "rows", {"axis": 0}, [a, b], [torch.cat([a, b], 0)])
    for name, axis, start, length in [("rows", 0, 1, 2), ("tokens", 1, 0, 1),
                                      ("columns", 2, 3, 4)]:
        x = wanting(values(3, 5, 7))
        y = torch.narrow(x, axis, start, length)
        dy = values(*y.shape)
        add("slice", name, {"axis": axis, "start": start, "length": length}, [x], [y])
        add("slice_grad", name, {"axis": axis, "start": start, "length": x.shape[axis]}, [dy],
            grads(y, dy, x))
    for name, shape, order in [("transpose", (3, 7), (1, 0)), ("heads", (2, 5, 3, 4), (0, 2, 1, 3)),
                               ("cycle", (3, 5, 7), (2, 0, 1)),
                               ("six", (2, 3, 1, 4, 2, 3), (5, 3, 1, 0, 2, 4))]:
        x = values(*shape)
        add("permute", name, {"order": list(order)}, [x], [x.permute(order)])


def gather(add):
    for name, shape, n in [("repeated", (5, 7), 9), ("maps", (6, 2, 3), 4), ("values", (11,), 5)]:
        seed("gather_rows" + name)
        x, index = wanting(values(*shape)), torch.randint(shape[0], (n,))
        y = x[index]
        dy = values(*y.shape)
        add("gather_rows", name, {}, [x, index], [y])
        add("gather_rows_grad", name, {"rows": shape[0]}, [dy, index], grads(y, dy, x))
    for name, shape, n in [("some", (3, 10, 5), 4), ("repeated", (2, 3, 5), 7),
                           ("values", (4, 9), 3)]:
        seed("gather_tokens" + name)
        x, index = wanting(values(*shape)), torch.randint(shape[1], (shape[0], n))
        wide = index.reshape(index.shape + (1,) * (x.dim() - 2)).expand(index.shape + x.shape[2:])
        y = torch.gather(x, 1, wide)
        dy = values(*y.shape)
        add("gather_tokens", name, {}, [x, index], [y])
        add("gather_tokens_grad", name, {"rows": shape[1]}, [dy, index], grads(y, dy, x))


def ranking(add):
    for name, n, m, k in [("odd", 3, 19, 5), ("first", 4, 7, 1), ("all", 2, 9, 9)]:
        seed("top_k" + name)
        x = values(n, m)
        y, index = torch.topk(x, k, dim=1)
        add("top_k", name, {"k": k}, [x], [y, index])
    x = torch.tensor([[1., 2, 2, 0, 1, 2, 0], [1, 2, 1, 0, 0, 0, 0]], dtype=torch.float64)
    y, index = torch.sort(x, dim=1, descending=True, stable=True)
    add("top_k", "ties", {"k": 5}, [x], [y[:, :5], index[:, :5]])


def state(add):
    seed("state")
    ring, rows = values(5, 3), values(2, 3)
    for name, cursor in [("fits", 1), ("wraps", 4)]:
        after = torch.roll(torch.cat([rows, torch.roll(ring, -cursor, 0)[2:]]), cursor, 0)
        add("ring_write", name, {}, [ring, torch.tensor(cursor), rows],
            [after, torch.tensor((cursor + 2) % 5)], {0: 0, 1: 1})
    x, keep = values(4, 3, 2), torch.tensor([0., 1.25, 1.25, 0], dtype=torch.float64)
    add("drop_path_grad", "samples", {}, [x, keep], [x * keep.view(4, 1, 1)])


def philox4x32(counter, key):
    """Ten rounds of Philox (Salmon et al., SC 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


# The authors' known answers.
assert philox4x32([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox4x32([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6,
                                                          0x6D5451FD]


def drop_path(add):
    seed("drop_path")
    for name, p, stream, key in [("half", 0.5, 3, (17, -5)), ("few", 0.1, 5 << 32 | 7, (-1, 2)),
                                 ("none", 0.0, 0, (0, 0))]:
        x = values(37, 2, 3)
        keep = torch.ones(37, dtype=torch.float64) / (1 - p)
        for n in range(37):
            block = philox4x32([n, 0, stream & 0xFFFFFFFF, stream >> 32],
                               [word & 0xFFFFFFFF for word in key])
            if (block[0] >> 8) / 2**24 < p:
                keep[n] = 0
        add("drop_path", name, {"p": p, "stream": stream},
            [x, torch.tensor(key, dtype=torch.int32)], [x * keep.view(37, 1, 1), keep])


def uniform(add):
    for name, count, stream, key in [("some", 37, 3, (17, -5)), ("far", 5, 5 << 32 | 7, (-1, 2))]:
        blocks = [philox4x32([i, 0, stream & 0xFFFFFFFF, stream >> 32],
                             [word & 0xFFFFFFFF for word in key]) for i in range(count)]
        y = torch.tensor([(block[0] >> 8) / 2**24 for block in blocks], dtype=torch.float64)
        add("uniform", name, {"count": count, "stream": stream},
            [torch.tensor(key, dtype=torch.int32)], [y])


# --- optimisers: parameter tensors inside a flat store, with gaps between them ---

SHAPES = [(0, (5, 7), ACTIVE | ADAPT), (48, (7,), ACTIVE), (64, (1,), ACTIVE | ADAPT),
          (80, (3, 3), ADAPT), (96, (4, 4), ACTIVE | ADAPT)]
RULES = [(1, 1), (1, 0), (0.5, 1), (1, 1), (2, 0.25)]
STORE = 120


def store():
    return values(STORE)


def tensors_of(flat):
    return [flat[o:o + torch.Size(s).numel()].reshape(s).clone() for o, s, _ in SHAPES]


def into(flat, tensors):
    flat = flat.clone()
    for (o, s, _), x in zip(SHAPES, tensors):
        flat[o:o + torch.Size(s).numel()] = x.detach().reshape(-1)
    return flat


def segments(flags=None):
    return torch.tensor([[o, torch.Size(s).numel(), f if flags is None else flags[i], 0]
                         for i, (o, s, f) in enumerate(SHAPES)])


def rules():
    return torch.tensor(RULES).double()


def groups(parameters, lr, wd):
    return [{"params": [p], "lr": lr * a, "weight_decay": wd * b}
            for p, (a, b) in zip(parameters, RULES)]


def set_gradients(parameters, flat, flags):
    for p, g, f in zip(parameters, tensors_of(flat), flags):
        p.grad = g if f & ACTIVE else None


def sgd(add):
    for name, momentum, nesterov in [("plain", 0.0, 0), ("momentum", 0.9, 0), ("nesterov", 0.9, 1)]:
        seed("sgd" + name)
        lr, wd, p, mu = number(0.3), number(0.05), store(), torch.zeros(STORE).double()
        parameters = [torch.nn.Parameter(x) for x in tensors_of(p)]
        optimizer = torch.optim.SGD(groups(parameters, lr.item(), wd.item()), lr=lr.item(),
                                    momentum=momentum, nesterov=bool(nesterov))
        for step in range(3):
            g, flags = store(), [f for _, _, f in SHAPES]
            if step == 1:
                flags[4] &= ~ACTIVE
            set_gradients(parameters, g, flags)
            optimizer.step()
            after = into(p, parameters)
            buffers = [optimizer.state[x].get("momentum_buffer") for x in parameters]
            mu_after = into(mu, [torch.zeros(s) if b is None else b
                                 for b, (_, s, _) in zip(buffers, SHAPES)])
            outputs = [after, mu_after if momentum else None]
            add("sgd_update", f"{name}-{step}", {"momentum": momentum, "nesterov": nesterov},
                [p, g, mu, segments(flags), rules(), lr, wd], outputs, {0: 0, 1: 2})
            p, mu = after, mu_after


def lars(add):
    seed("lars")
    lr, wd, p, mu = number(0.5), number(0.01), store(), torch.zeros(STORE).double()
    p[96:112] = 0  # no trust ratio where the weights are 0
    momentum, trust = 0.9, 0.001
    for step in range(3):
        g = store()
        after, mu_after = p.clone(), mu.clone()
        for (o, s, f), (a, b), x, dx, m in zip(SHAPES, RULES, tensors_of(p), tensors_of(g),
                                               tensors_of(mu)):
            if not f & ACTIVE:
                continue
            d = dx + wd * b * x
            if f & ADAPT and x.norm() > 0 and d.norm() > 0:
                d = d * trust * x.norm() / d.norm()
            m = momentum * m + d
            x = x - lr * a * m
            after[o:o + x.numel()], mu_after[o:o + x.numel()] = x.reshape(-1), m.reshape(-1)
        add("lars_update", f"step-{step}", {"momentum": momentum, "trust": trust},
            [p, g, mu, segments(), rules(), lr, wd], [after, mu_after], {0: 0, 1: 2})
        p, mu = after, mu_after


def adamw(add):
    for name, freeze in [("one-counter", 0), ("own-counters", 1)]:
        seed("adamw" + name)
        lr, wd, p = number(0.01), number(0.4), store()
        m = v = torch.zeros(STORE).double()
        steps = torch.zeros(len(SHAPES) if freeze else (), dtype=torch.int64)
        parameters = [torch.nn.Parameter(x) for x in tensors_of(p)]
        optimizer = torch.optim.AdamW(groups(parameters, lr.item(), wd.item()), lr=lr.item(),
                                      betas=(0.9, 0.999), eps=1e-8)
        for step in range(4):
            g, flags = store(), [f for _, _, f in SHAPES]
            if freeze and step < 2:  # a last layer without gradients at first
                flags[4] &= ~ACTIVE
            set_gradients(parameters, g, flags)
            optimizer.step()
            states = [optimizer.state[x] for x in parameters]
            zeros = [torch.zeros(s) for _, s, _ in SHAPES]
            after = into(p, parameters)
            m_after = into(m, [s.get("exp_avg", z) for s, z in zip(states, zeros)])
            v_after = into(v, [s.get("exp_avg_sq", z) for s, z in zip(states, zeros)])
            if freeze:
                steps_after = torch.tensor([int(s.get("step", 0)) for s in states])
            else:
                steps_after = torch.tensor(step + 1)
            add("adamw_update", f"{name}-{step}", {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
                [p, g, m, v, segments(flags), rules(), lr, wd, steps],
                [after, m_after, v_after, steps_after], {0: 0, 1: 2, 2: 3, 3: 8})
            p, m, v, steps = after, m_after, v_after, steps_after


def clipping(add):
    seed("clipping")
    g = store()
    norms = torch.stack([x.norm() if f & ACTIVE else torch.zeros(()).double()
                         for x, (_, _, f) in zip(tensors_of(g), SHAPES)])
    add("segment_norms", "parameters", {}, [g, segments()], [norms])
    norms = norms.float().double()
    for name, limit, each in [("global", 2.0, 0), ("each", 2.0, 1), ("within", 100.0, 0)]:
        parameters = [torch.nn.Parameter(x) for x in tensors_of(g)]
        set_gradients(parameters, g, [f for _, _, f in SHAPES])
        wanted = [x for x in parameters if x.grad is not None]
        if each:
            for x in wanted:
                torch.nn.utils.clip_grad_norm_([x], limit)
        else:
            torch.nn.utils.clip_grad_norm_(wanted, limit)
        after = into(g, [x if p.grad is None else p.grad
                         for p, x in zip(parameters, tensors_of(g))])
        exact = torch.stack([x.norm() if f & ACTIVE else torch.zeros(()).double()
                             for x, (_, _, f) in zip(tensors_of(g), SHAPES)])
        add("clip_segments", name, {"limit": limit, "per_segment": each}, [g, segments(), exact],
            [after], {0: 0})


def average(add):
    seed("average")
    target, source, m = store(), values(60), number(0.996)
    table = torch.tensor([[0, 16, ACTIVE, 32], [32, 7, ACTIVE, 0], [48, 5, 0, 8],
                          [64, 12, ACTIVE, 48]])
    after = target.clone()
    for o, n, f, s in table.tolist():
        if f & ACTIVE:
            after[o:o + n] = torch.lerp(source[s:s + n], target[o:o + n], m)
    add("ema_update", "segments", {}, [target, source, table, m], [after], {0: 0})


def cases(add):
    for part in (unary, binary, reduce, plain, softmax, cross_entropy, pair_cross_entropy,
                 normalisers, movement, gather, ranking, state, drop_path, uniform, sgd, lars,
                 adamw, clipping, average):
        part(add)
