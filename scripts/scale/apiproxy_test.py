import pytest

from .apiproxy import plural


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/services", "services"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/scale/services/a", "services"),
        ("/apis/gateway.networking.k8s.io/v1/httproutes", "httproutes"),
        ("/apis/gateway.networking.k8s.io/v1/namespaces/scale/httproutes/r/status", "httproutes"),
        ("/apis/gateway.networking.k8s.io/v1", "discovery"),
        ("/api/v1", "discovery"),
    ],
)
def test_requests_are_counted_by_the_kind_they_are_about(path: str, kind: str) -> None:
    assert plural(path) == kind
