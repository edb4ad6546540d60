"""Where a request goes: scheme, host and port of an address, written in one way. Asks no DNS."""

from ipaddress import ip_address

from yarl import URL


def origin_of(address: str) -> str:
    """``https://host``, with the port unless it is the scheme's own.

    By the client's own reading of the address: the host in lower case, foreign letters as punycode
    (so that a look-alike shows), without the root's dot.

    >>> origin_of("HTTPS://API.Example.com.:443/v1")
    'https://api.example.com'
    >>> origin_of("http://[::1]:8000/v1")
    'http://[::1]:8000'
    """
    url = URL(address)
    host = (url.raw_host or "").lower().removesuffix(".")
    shown = f"[{host}]" if ":" in host else host
    port = "" if url.is_default_port() else f":{url.port}"
    return f"{url.scheme}://{shown}{port}"


def is_open(origin: str) -> bool:
    """Whether what goes there can be read on the way: plain http to another machine."""
    url = URL(origin)
    return url.scheme != "https" and not _is_loopback(url.raw_host or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name; no other one is this machine's by itself (RFC 6761, 6.3)
        return host == "localhost"
