"""The name of a case: everything that a case asks for, readable, and different for different cases."""

from urllib.parse import quote

from capratio.records.record import Point


def case_id(point: Point) -> str:
    """Return ``layer[form,option=…]/p512-q512-k8/n1024/float32/cpu/pass/cache/input+routing/backend/tTHREADS``.

    In the brackets stand, where they are not the usual ones: the form, ``nobias``, ``gate=…``, ``order=…`` when the
    case asks for one, ``weight_gradient=…``, and the options in the order of their names; no brackets stand around
    nothing. Different points have different ids, except that order None and ``auto`` are one, and so are options None
    and {}; characters that divide the parts are written as %XX inside of them.

    point: the case as it was asked for: its ``order`` is the one asked for, not the one that ran.
    """
    words = [] if point.form == "path" else [_part(point.form) if point.form != "nobias" else "form=nobias"]
    words += [] if point.bias else ["nobias"]
    words += [] if point.gate == "signs" else [f"gate={_part(point.gate)}"]
    words += [] if point.order in (None, "auto") else [f"order={_part(str(point.order))}"]
    words += [] if point.weight_gradient == "dense" else [f"weight_gradient={_part(point.weight_gradient)}"]
    words += [_option(name, value) for name, value in sorted((point.options or {}).items())]
    parts = (
        _part(point.layer) + (f"[{','.join(words)}]" if words else ""),
        f"p{point.in_features}-q{point.out_features}-k{point.depth}",
        f"n{point.tokens}",
        _part(point.dtype),
        _part(point.device),
        _part(point.pass_),
        _part(point.cache),
        f"{_part(point.input)}+{_part(point.routing)}",
        _part(point.backend),
        f"t{point.threads}",
    )
    return "/".join(parts)


def _option(name: str, value: str) -> str:
    # A user's option may have the name of a field; the colon, which no name keeps, holds them apart.
    own = ":" if name in ("form", "gate", "order", "weight_gradient") else ""
    return f"{own}{quote(name, safe='', errors='surrogatepass')}={_part(value)}"


def _part(text: str) -> str:
    # The colon stays for a user's layer, ``package.module:Class``.
    return quote(text, safe=":", errors="surrogatepass")
