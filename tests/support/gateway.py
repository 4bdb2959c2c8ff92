# SPDX-License-Identifier: Apache-2.0
"""tests/support/gateway.py - a node that has upstreams.

    with Gateway(tmp_path, [entry("a", upstream)]) as gateway:
        gateway.get("/v1/models")
"""
import signal

import yaml

from support.cluster import POMONA, Node, free_ports, wait_until


class Gateway(Node):
    """A node with upstreams, and with models where `model` is given."""

    def __init__(self, folder, upstreams, model=None, balancing="predicted-work", environment=None, **settings):
        folder.mkdir(exist_ok=True)
        port = free_ports(1)[0]
        config = folder / "api_gateway.yaml"
        config.write_text(yaml.safe_dump({"balancing": {"policy": balancing}, "upstreams": upstreams, **settings}))
        super().__init__("gateway", 0, port,
                         ["env", *(environment or []), POMONA, "serve", "--data", str(folder / "data"),
                          "--listen", f"127.0.0.1:{port}", "--threads", "1", "--no-measure",
                          "--gateway-config", str(config), *(["--model", model] if model else [])],
                         folder / "gateway.log")

    def __enter__(self):
        self.start()
        wait_until(self.health, 20, "the gateway answers")
        return self

    def __exit__(self, kind, *_):
        if self.is_up():
            self.kill(signal.SIGTERM)
        if kind is not None:
            print(self.log.read_text()[-6000:])


def entry(name, server, kind="openai", there=None, model="m", **more):
    """`server`: a port, or what has one."""
    port = server if isinstance(server, int) else getattr(server, "api_port", None) or server.port
    models = [{"name": model, **({"there": there} if there else {})}]
    return {"name": name, "url": f"http://127.0.0.1:{port}/v1", "kind": kind, "models": models, **more}


class Behind:
    """What `says` is said by one node (support/scripted.py), and asked of another before it."""

    def __init__(self, folder, scripted, name):
        self.scripted, self.says = scripted, scripted.says
        self.node = Gateway(folder / "gateway", [entry("behind", scripted.node, kind="pomona", model=name)])
        self.url = f"http://127.0.0.1:{self.node.api_port}"

    def __enter__(self):
        self.node.__enter__()
        return self

    def __exit__(self, *failure):
        self.node.__exit__(*failure)
