#!/usr/bin/env python3
"""scale_model.py - what several devices would do, on paper: docs/scale.md explains the model.

  bench/scale_model.py --step-ms 20 --batch 256 --gradient-mb 45 --collectives 107

Takes the measured time of one device's step and prints a line for each number of devices. Nothing is
measured here: bandwidths are those of data sheets, times a share that is reached, and the latency of a
small collective is an assumption."""
import argparse


def ring_ms(mib, ranks, gb_per_s, latency_us):
    """A ring's all-reduce: each rank sends and receives 2 (n - 1) / n of the data."""
    return latency_us * 1e-3 + 2 * (ranks - 1) / ranks * mib * 2**20 / (gb_per_s * 1e9) * 1e3


def exposed_ms(window_ms, mib, bucket_mib, ranks, gb_per_s, latency_us):
    """Buckets are ready at even distances while the last pass of backward runs, and go one by one."""
    buckets = max(1, round(mib / bucket_mib)) if bucket_mib > 0 else 1
    window_ms = window_ms if bucket_mib > 0 else 0
    end = 0.0
    for i in range(buckets):
        end = max(end, window_ms * (i + 1) / buckets)
        end += ring_ms(mib / buckets, ranks, gb_per_s, latency_us)
    return end - window_ms


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--step-ms", type=float, required=True, help="one device's step, measured")
    add("--batch", type=int, required=True, help="source images of that step")
    add("--gradient-mb", type=float, required=True, help="gradients in MiB: 4 bytes a parameter")
    add("--collectives", type=int, required=True,
        help="small ones in a step (batch norm, centre): calls of all_gather and all_reduce in a profile")
    add("--bucket-mb", type=float, default=4, help="run.bucket_mb")
    add("--last-pass", type=float, default=0.2,
        help="share of the step that backward's last pass takes, beside which buckets run")
    add("--devices", default="1,2,4,8,16,32")
    add("--per-node", type=int, default=8)
    add("--node-gb-s", type=float, default=450, help="a device's link within a node, one direction")
    add("--net-gb-s", type=float, default=400, help="a node's adapters together, one direction")
    add("--reached", type=float, default=0.8, help="share of these that collectives reach")
    add("--node-us", type=float, default=20, help="a small collective within a node")
    add("--net-us", type=float, default=40, help="and over several nodes")
    a = parser.parse_args()
    print("| devices | nodes | step ms | of it buckets | of it small ones | images/s | efficiency |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n in map(int, a.devices.split(",")):
        nodes = -(-n // a.per_node)
        link = a.node_gb_s if nodes == 1 else min(a.node_gb_s, a.net_gb_s)
        latency = a.node_us if nodes == 1 else a.net_us
        late = small = 0.0
        if n > 1:
            late = exposed_ms(a.step_ms * a.last_pass, a.gradient_mb, a.bucket_mb, n,
                              link * a.reached, latency)
            small = a.collectives * latency * 1e-3
        step = a.step_ms + late + small
        print(f"| {n} | {nodes} | {step:.2f} | {late:.2f} | {small:.2f} | "
              f"{n * a.batch / step * 1e3:.0f} | {100 * a.step_ms / step:.0f} % |")


if __name__ == "__main__":
    main()
