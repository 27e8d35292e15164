"""Discovery: what an API server says of its resources becomes the paths of the kinds."""

import json

import pytest

from rauta_control.discovery import Place, located, root
from rauta_control.world import Key


def test_kinds_are_found_with_their_paths_and_subresources_are_none() -> None:
    body = {
        "kind": "APIResourceList",
        "resources": [
            {"name": "httproutes", "kind": "HTTPRoute", "namespaced": True, "verbs": ["list"]},
            {"name": "httproutes/status", "kind": "HTTPRoute", "namespaced": True},
            {"name": "gatewayclasses", "kind": "GatewayClass", "namespaced": False},
        ],
    }
    version = "gateway.networking.k8s.io/v1"
    places = located(version, json.dumps(body).encode())
    assert places == {
        "HTTPRoute": Place(version, "httproutes", True),
        "GatewayClass": Place(version, "gatewayclasses", False),
    }
    route, cls = places["HTTPRoute"], places["GatewayClass"]
    assert route.listing() == "/apis/gateway.networking.k8s.io/v1/httproutes"
    assert route.listing("shop") == "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
    assert route.item(Key("HTTPRoute", "shop", "a")) == f"{route.listing('shop')}/a"
    assert route.status(Key("HTTPRoute", "shop", "a")) == f"{route.listing('shop')}/a/status"
    assert cls.listing("shop") == "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
    assert root("v1") == "/api/v1"


def test_what_is_no_list_raises() -> None:
    with pytest.raises(ValueError, match="malformed"):
        located("v1", b"<html>")
