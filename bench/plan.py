# SPDX-License-Identifier: Apache-2.0
"""bench/plan.py - how long planning takes for clusters of many nodes.

    python3 bench/plan.py build/release/pomona [NODES...]

Nodes of four speeds and three sizes on two kinds of links, seeded; the planner's own time, as
`pomona plan --json` tells it, for one stream and for 64.
"""
import json
import random
import subprocess
import sys
import tempfile

MODELS = ("llama-8b-q4_0", "llama-70b-q4_0", "gpt-oss-120b")


def cluster_of(n_nodes):
    random.seed(1)
    return {"cluster": {"name": "many"}, "nodes": [{
        "name": f"n{i}", "host": f"10.0.{i // 250}.{i % 250 + 1}",
        "memory_gb": random.choice([8, 16, 32]), "threads": random.choice([4, 8, 16]),
        "memory_bandwidth_gbs": random.choice([50, 100, 200, 400]),
        "links": [{"kind": "ethernet", "gbps": random.choice([1, 10])}],
    } for i in range(n_nodes)]}


def main():
    pomona, sizes = sys.argv[1], [int(n) for n in sys.argv[2:]] or [10, 100, 1000]
    print("| nodes | model | streams | planned in | chosen | tokens/s | exact |\n|---|---|---|---|---|---|---|")
    for n_nodes in sizes:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(cluster_of(n_nodes), file)
            file.flush()
            for model in MODELS:
                for streams in (1, 64):
                    plan = json.loads(subprocess.run(
                        [pomona, "plan", model, "--cluster", file.name, "--streams", str(streams),
                         "--context", "2048", "--json"],
                        check=False, capture_output=True, text=True).stdout)
                    ways = {way["name"]: way for way in plan["strategies"]}
                    chosen = ways.get(plan["strategy"], {})
                    print(f"| {n_nodes} | {model} | {streams} | {plan['planned_ms']:.0f} ms "
                          f"| {plan['strategy']} | {chosen.get('tokens_per_s', 0):.1f} "
                          f"| {'yes' if ways['pipeline'].get('exact') else 'no'} |")


if __name__ == "__main__":
    main()
