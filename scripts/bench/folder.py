"""The folder of manifests that files.py has served: a Gateway, and routes with a Service each."""

import time
from pathlib import Path

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec: {{gatewayClassName: rauta, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: r{number}
spec:
  parentRefs:
  - name: gw
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /r/{number}}}
    backendRefs:
    - {{name: s{target}, port: 80}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{number}-1, labels: {{kubernetes.io/service-name: s{number}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


class Folder:
    """The manifests. Route 0 can be pointed at service 0 (backend a) or 1 (backend b), which is the edit."""

    def __init__(self, root: Path, routes: int, listener: int, backends: tuple[int, int]) -> None:
        self.root = root
        (root / "routes").mkdir()
        (root / "services").mkdir()
        (root / "gateway.yaml").write_text(GATEWAY.format(port=listener))
        for number in range(routes):
            (root / f"routes/r{number:05}.yaml").write_text(ROUTE.format(number=number, target=number))
            text = SERVICE.format(number=number, port=backends[number % 2])
            (root / f"services/s{number:05}.yaml").write_text(text)

    def point(self, target: int) -> float:
        """Edit; return when."""
        new = self.root / "routes/.new"
        new.write_text(ROUTE.format(number=0, target=target))
        now = time.monotonic()
        new.rename(self.root / "routes/r00000.yaml")
        return now
