"""What a failed TLS handshake means, and whether a port that answers no HTTP speaks TLS instead."""

import asyncio
import ssl
from urllib.parse import urlsplit

PROBE_S = 5.0  # for one handshake
# A server that is being restarted, or has no certificate yet: it may be well in a moment.
PASSING = ("UNEXPECTED_EOF_WHILE_READING", "TLSV1_ALERT_INTERNAL_ERROR", "SYSTEM_LIB")
# How OpenSSL names the answer of something that speaks no TLS.
PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL")
CERTIFICATE_WANTED = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
# What nginx, Apache and Go say, in clear, to a request in clear on a port for TLS.
SAID_IN_CLEAR = (b"plain http request was sent to https", b"plain http to an ssl", b"to an https s")


def trust_of(url: str) -> ssl.SSLContext | None:
    """The machine's certificate authorities, and certifi's where the machine has none."""
    if not url.startswith("https:"):
        return None
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def handshake_failed(error: BaseException | None, url: str, *, connected: bool) -> str | None:
    """Why no handshake with ``url`` will ever succeed, and what to do; None where one may.

    ``connected``: the error came later, where TLS 1.3 says that it wanted our certificate.
    """
    if not isinstance(error, ssl.SSLError) or not error.reason or error.reason in PASSING:
        return None
    if connected and error.reason != CERTIFICATE_WANTED:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return (
            f"{_host(url)}: its certificate cannot be trusted ({why}); nothing was sent; next: "
            "correct base_url, or name its authority's certificate in SSL_CERT_FILE"
        )
    if error.reason in PLAIN:
        return f"{_host(url)}: speaks no TLS; nothing was sent; next: http:// in base_url"
    why = error.reason.replace("_", " ").lower()
    return f"{_host(url)}: no TLS connection ({why}); nothing was read; next: correct base_url"


async def speaks_tls(url: str) -> bool | None:
    """Whether a handshake is answered where ``url`` says http://; None if nothing listens.

    Sends nothing else.
    """
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except TimeoutError:
        return False
    except OSError:
        return None
    writer.transport.abort()
    return True


def wants_tls(url: str) -> str:
    """What is said of an http:// address behind which TLS is spoken."""
    return f"{_host(url)}: speaks TLS, so no request was read; next: https:// in base_url"


def said_in_clear(body: bytes) -> bool:
    """Whether a refusal says that the port is for TLS."""
    text = body[:4096].lower()
    return any(words in text for words in SAID_IN_CLEAR)


def _host(url: str) -> str:
    return urlsplit(url).netloc
