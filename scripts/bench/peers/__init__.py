"""Who is compared: one file a proxy, so that somebody who knows it can check it. RAUTA is one of them."""

from .caddy import CADDY
from .direct import DIRECT
from .envoy import ENVOY
from .haproxy import HAPROXY
from .model import Place, Proxy, Start
from .nginx import NGINX, NGINX_STOCK, NGINX_SYSTEM
from .rauta import RAUTA, RAUTA_FEW

COMPARED = (RAUTA, RAUTA_FEW, NGINX, NGINX_SYSTEM, NGINX_STOCK, HAPROXY, ENVOY)
PROXIES = {proxy.name: proxy for proxy in (*COMPARED, CADDY, DIRECT)}

__all__ = ["COMPARED", "DIRECT", "PROXIES", "Place", "Proxy", "Start"]
