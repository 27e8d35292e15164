"""From the filters of a rule or backend to what the data plane does: compiled, or said why not. Pure.

A filter that is not supported makes its requests fail (500) instead of being left out: without it they would be treated
in a way nobody asked for (HTTPRouteFilter: "a filter MUST NOT be skipped").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from rauta_control.action import Cors, Filters, HeaderEdit, Mirror, PathEdit, Redirect, Rewrite
from rauta_control.backends import Backend, backend
from rauta_control.derive import Graph
from rauta_control.edit import unusable
from rauta_control.httpfilter import (
    HTTPCORSFilter,
    HTTPHeader,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
)
from rauta_control.supported import Ability
from rauta_control.target import replacement
from rauta_control.terms import terms
from rauta_control.world import Key

PORTS = {"http": 80, "https": 443}
EXTENSION = "extensionRef"

_NEEDS = {
    "RequestHeaderModifier": Ability.REQUEST_HEADERS,
    "ResponseHeaderModifier": Ability.RESPONSE_HEADERS,
    "RequestRedirect": Ability.REDIRECT,
    "URLRewrite": Ability.REWRITE,
    "RequestMirror": Ability.MIRROR,
    "CORS": Ability.CORS,
    "ExternalAuth": Ability.EXTERNAL_AUTH,
}


class Note(msgspec.Struct, frozen=True):
    """Something to be said about a part of a route: a finding's code, where, and what."""

    code: int
    path: str
    message: str


class Compiled(msgspec.Struct, frozen=True):
    """What became of a list of filters. `redirect` waits for its listener, which completes it; `mirrored` are backends.

    With a `fault` nothing can be done, and requests are to be answered with 500: because we are not able (`unable`), or
    because the filter refers to nothing that there is, which `mirrored` says too.
    """

    filters: Filters | None = None
    fault: str = ""
    unable: bool = False
    redirect: HTTPRequestRedirectFilter | None = None
    mirrored: tuple[Backend, ...] = ()
    notes: tuple[Note, ...] = ()


def compiled(q: Graph, source: Key, given: Sequence[HTTPRouteFilter], path: str, *, prefixed: bool) -> Compiled:
    """Compile the filters at `path` of the route `source`. `prefixed`: all matches of the rule are by a prefix."""
    if not given:
        return Compiled()
    notes = [*_unsupported(q, given, path), *_unusable(given, path, prefixed=prefixed), *_dangling(given, path)]
    if notes:
        return refused(source, notes)
    parts: dict[str, object] = {}
    mirrored: list[Backend] = []
    mirrors: list[Mirror] = []
    redirect = None
    for index, each in enumerate(given):
        where = f"{path}[{index}]"
        if each.request_header_modifier is not None:
            parts["request"] = _headers(each.request_header_modifier, f"{where}.requestHeaderModifier", notes)
        elif each.response_header_modifier is not None:
            parts["response"] = _headers(each.response_header_modifier, f"{where}.responseHeaderModifier", notes)
        elif each.request_redirect is not None:
            redirect = each.request_redirect
        elif each.url_rewrite is not None:
            parts["rewrite"] = Rewrite(each.url_rewrite.hostname or "", path_edit(each.url_rewrite.path))
        elif each.cors is not None:
            parts["cors"] = _cors(each.cors, f"{where}.cors", notes)
        elif each.request_mirror is not None:
            target = backend(q, source, each.request_mirror.backend_ref)
            mirrored.append(target)
            if target.reason:
                notes.append(Note(target.code, f"{where}.requestMirror.backendRef", target.message))
            else:
                mirrors.append(_mirror(each.request_mirror, target.cluster))
    if mirrors:
        parts["mirrors"] = tuple(mirrors)
    filters = Filters(**parts)  # type: ignore[arg-type]
    return Compiled(filters if parts else None, redirect=redirect, mirrored=tuple(mirrored), notes=tuple(notes))


def refused(source: Key, notes: Sequence[Note]) -> Compiled:
    """Filters that cannot be carried out, for these reasons: each is said with its field."""
    dangling = [f"{each.path}: {each.message}" for each in notes if each.path.endswith(EXTENSION)]
    return Compiled(
        fault="; ".join(f"{_within_rule(each.path)}: {each.message}" for each in notes),
        unable=len(dangling) < len(notes),
        mirrored=tuple(Backend(source, reason="InvalidKind", message=message) for message in dangling),
        notes=tuple(notes),
    )


def _within_rule(path: str) -> str:
    """The path of a field from its rule on (`filters[1].cors`): who says it names the rule."""
    return path.partition("].")[2]


def redirected(redirect: HTTPRequestRedirectFilter, protocol: str, port: int) -> Redirect:
    """A redirect on a listener: its scheme and port where none is given; 0 for the scheme's own port.

    HTTPRequestRedirectFilter.port: with a scheme its well-known port, without one the listener's; both left out of the
    Location where they are the scheme's own.
    """
    scheme = redirect.scheme or ("https" if protocol == "HTTPS" else "http")
    number = redirect.port or (PORTS[redirect.scheme] if redirect.scheme else port)
    return Redirect(
        redirect.status_code,
        scheme,
        0 if number == PORTS[scheme] else number,
        redirect.hostname or "",
        path_edit(redirect.path),
    )


def path_edit(path: HTTPPathModifier | None) -> PathEdit | None:
    """A path modifier; an empty replacement is the root. Raises ValueError."""
    if path is None:
        return None
    if path.type == "ReplaceFullPath":
        return PathEdit(replacement(path.replace_full_path or ""))
    return PathEdit(replacement(path.replace_prefix_match or ""), prefix=True)


def _unsupported(q: Graph, given: Sequence[HTTPRouteFilter], path: str) -> Iterator[Note]:
    able = terms(q).abilities
    for index, each in enumerate(given):
        where = f"{path}[{index}]"
        need = _NEEDS.get(each.type)
        if need is not None and need not in able:
            yield Note(2, where, need.missing)
        elif (
            each.request_mirror is not None
            and _share(each.request_mirror) != (1, 1)
            and Ability.MIRROR_SHARE not in able
        ):
            yield Note(2, f"{where}.requestMirror", Ability.MIRROR_SHARE.missing)


def _unusable(given: Sequence[HTTPRouteFilter], path: str, *, prefixed: bool) -> Iterator[Note]:
    """Values that no request or response could have, and a prefix to replace where there is none."""
    for index, each in enumerate(given):
        for field, modifier in (
            ("requestHeaderModifier", each.request_header_modifier),
            ("responseHeaderModifier", each.response_header_modifier),
        ):
            if modifier is not None:
                for name, why in unusable(_headers(modifier, "", [])):
                    yield Note(35, f"{path}[{index}].{field}", f"{name!r} {why}")
        for field, target in (("requestRedirect", each.request_redirect), ("urlRewrite", each.url_rewrite)):
            try:
                edit = path_edit(target.path if target else None)
            except ValueError as error:
                yield Note(35, f"{path}[{index}].{field}.path", str(error))
                continue
            if edit is not None and edit.prefix and not prefixed:
                text = "ReplacePrefixMatch needs a rule that has matches of type PathPrefix only"
                yield Note(35, f"{path}[{index}].{field}.path", text)


def _dangling(given: Sequence[HTTPRouteFilter], path: str) -> Iterator[Note]:
    """References to filters of kinds that there are not, which is all of them."""
    for index, each in enumerate(given):
        if each.extension_ref is not None:
            text = f"there are no filters of kind {each.extension_ref.kind}"
            yield Note(2, f"{path}[{index}].{EXTENSION}", text)


def _headers(given: HTTPHeaderFilter, path: str, notes: list[Note]) -> HeaderEdit:
    """Of names that are equal but for case the first counts (HTTPHeaderFilter)."""
    return HeaderEdit(
        _pairs(given.set, f"{path}.set", notes),
        _pairs(given.add, f"{path}.add", notes),
        tuple(dict.fromkeys(name.lower() for name in given.remove)),
    )


def _pairs(given: Iterable[HTTPHeader], path: str, notes: list[Note]) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, tuple[str, str]] = {}
    for index, each in enumerate(given):
        if each.name.lower() in pairs:
            notes.append(Note(33, f"{path}[{index}]", f"{each.name} was named before"))
        else:
            pairs[each.name.lower()] = (each.name, each.value)
    return tuple(pairs.values())


def _cors(given: HTTPCORSFilter, path: str, notes: list[Note]) -> Cors:
    if given.allow_credentials and "*" in given.expose_headers:
        notes.append(Note(3, f"{path}.exposeHeaders", "'*' exposes nothing together with allowCredentials"))
    return Cors(
        given.allow_origins,
        given.allow_methods,
        given.allow_headers,
        given.expose_headers,
        bool(given.allow_credentials),
        given.max_age,
    )


def _share(given: HTTPRequestMirrorFilter) -> tuple[int, int]:
    if given.percent is not None:
        return (1, 1) if given.percent == 100 else (given.percent, 100)
    if given.fraction is not None and given.fraction.numerator != given.fraction.denominator:
        return given.fraction.numerator, given.fraction.denominator
    return 1, 1


def _mirror(given: HTTPRequestMirrorFilter, cluster: str) -> Mirror:
    return Mirror(cluster, *_share(given))
