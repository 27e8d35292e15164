"""Request heads as a browser behind a tracing front end sends them: eight fields, and no two alike. Pure.

`heads.lua` makes the same for wrk; this is for the clients in Python.
"""

from .setup import SHARED_HOST, Route

WEBKIT, KHTML = "AppleWebKit/537.36", "(KHTML, like Gecko)"
AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} {KHTML} Chrome/142.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {KHTML} Version/19.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {WEBKIT} {KHTML} Chrome/142.0.0.0 Mobile Safari/537.36",
)
LANGUAGES = ("en-GB,en;q=0.9", "fi-FI,fi;q=0.9,en;q=0.7", "de-DE,de;q=0.9,en;q=0.8", "sv-SE,sv;q=0.8,en;q=0.6")
TOPICS = ("shoes", "lamps", "tents", "books", "bikes", "skis", "cups", "maps")


def path(seed: int, n: int, route: Route) -> str:
    """The target of request n."""
    topic = TOPICS[n % len(TOPICS)]
    return f"{route.slashed}{topic}/item-{n:08x}?q={topic}&page={n % 90}&sid={seed:08x}{n:08x}"


def head(seed: int, n: int, route: Route, *, method: str = "GET", extra: str = "") -> bytes:
    """A whole request head; different for every (seed, n). `extra` is further fields, each ended by CRLF."""
    unique = f"{seed:08x}{n:08x}"
    text = (
        f"{method} {path(seed, n, route)} HTTP/1.1\r\n"
        f"Host: {route.host or SHARED_HOST}\r\n"
        f"User-Agent: {AGENTS[n % len(AGENTS)]}\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
        f"Accept-Language: {LANGUAGES[n // 3 % len(LANGUAGES)]}\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        f"Referer: https://{SHARED_HOST}/{TOPICS[n // 5 % len(TOPICS)]}?page={n % 90}\r\n"
        f"Cookie: session={unique}4f1c9a7e; theme=dark; cart={unique}; consent=all.2026-01\r\n"
        f"traceparent: 00-{unique}{unique}-{n:016x}-01\r\n"
        f"{extra}\r\n"
    )
    return text.encode()
