"""The objects of a run, as Kubernetes manifests. Pure.

Every route has a host name and a path of its own. All of them lead to one of two Services, `a` and `b`, whose backends
answer with their name: pointing a route at the other one is the edit whose way to the workers is measured.
"""

from collections.abc import Iterator

from scripts.conformance.api import Object

NAMESPACE = "scale"
GATEWAY = "gw"
GROUP = "/apis/gateway.networking.k8s.io/v1"
ROUTES = f"{GROUP}/namespaces/{NAMESPACE}/httproutes"
GATEWAYS = f"{GROUP}/namespaces/{NAMESPACE}/gateways"
HOSTS = 100  # host names that the routes share


def host(number: int) -> str:
    """The host name of a route."""
    return f"h{number % HOSTS}.example"


def path(number: int) -> str:
    """The path of a route."""
    return f"/r/{number}"


def name(number: int) -> str:
    """The name of a route."""
    return f"r{number:05}"


def rules(number: int, target: str) -> list[Object]:
    """The rules of a route to Service `target`."""
    matches = [{"path": {"type": "PathPrefix", "value": path(number)}}]
    return [{"matches": matches, "backendRefs": [{"name": target, "port": 80}]}]


def route(number: int, target: str = "a") -> Object:
    """An HTTPRoute."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name(number), "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": GATEWAY}],
            "hostnames": [host(number)],
            "rules": rules(number, target),
        },
    }


def ground(address: str, ports: dict[str, int]) -> Iterator[Object]:
    """Everything but routes. `ports` are those of the backends at `address`, by Service."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "rauta"},
        "spec": {"controllerName": "rauta.io/gateway-controller"},
    }
    yield {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
        "spec": {"gatewayClassName": "rauta", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }
    for service, port in ports.items():
        metadata = {"name": service, "namespace": NAMESPACE}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
        labels = {"kubernetes.io/service-name": service}
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{service}-1", "namespace": NAMESPACE, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"port": port}],
            "endpoints": [{"addresses": [address]}],
        }
