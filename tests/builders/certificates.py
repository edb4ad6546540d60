"""Certificates for loopback, made once with the ``cryptography`` package; their key is no secret.

One is good for 127.0.0.1 until 2120, one was until 2020, one is for another host. Each is its own
authority: whoever names it in SSL_CERT_FILE trusts it.
"""

import ssl
import textwrap
from pathlib import Path

KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkYC1fnkHCK8MFpuubD3dZ3S0mSxMXvbVP9piiBpD"
    "K1ahRANCAAS/kvm9voUZ9Z032ZCGP3zFycNFrncZD8SDHvqexUCYZ58osr1IQs9rc/4qebxnE1VHoy/Ze3KKzSqM"
    "72Jv24Ua"
)
CERTIFICATES = {
    "good": (
        "MIIBQzCB6aADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGRpc3RpbGwgdGVzdDAgFw0yMDAxMDEwMDAw"
        "MDBaGA8yMTIwMDEwMTAwMDAwMFowFzEVMBMGA1UEAwwMZGlzdGlsbCB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D"
        "AQcDQgAEv5L5vb6FGfWdN9mQhj98xcnDRa53GQ/Egx76nsVAmGefKLK9SELPa3P+Knm8ZxNVR6Mv2Xtyis0qjO9i"
        "b9uFGqMkMCIwDwYDVR0RBAgwBocEfwAAATAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCiHUu/"
        "w8S1knqttUC1CT+yr8bA+o0QDBaFrinXCGdGHQIhANYBtUh02nrhQdJfJDIU3PmfVPwDr3ZjS53bHskvNxFi"
    ),
    "expired": (
        "MIIBQDCB56ADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGRpc3RpbGwgdGVzdDAeFw0xOTAxMDEwMDAw"
        "MDBaFw0yMDAxMDEwMDAwMDBaMBcxFTATBgNVBAMMDGRpc3RpbGwgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH"
        "A0IABL+S+b2+hRn1nTfZkIY/fMXJw0WudxkPxIMe+p7FQJhnnyiyvUhCz2tz/ip5vGcTVUejL9l7corNKozvYm/b"
        "hRqjJDAiMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBUYWdNoegm"
        "d+Z8CrQoQOhY3Wg1gB5uObt/n+8ytlEDBgIhAOA5Y9XRk7nOama74iVu3RacTPre4paBcCvtWE5ZA9HY"
    ),
    "another host": (
        "MIIBTjCB9qADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGRpc3RpbGwgdGVzdDAgFw0yMDAxMDEwMDAw"
        "MDBaGA8yMTIwMDEwMTAwMDAwMFowFzEVMBMGA1UEAwwMZGlzdGlsbCB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D"
        "AQcDQgAEv5L5vb6FGfWdN9mQhj98xcnDRa53GQ/Egx76nsVAmGefKLK9SELPa3P+Knm8ZxNVR6Mv2Xtyis0qjO9i"
        "b9uFGqMxMC8wHAYDVR0RBBUwE4IRZWxzZXdoZXJlLmludmFsaWQwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD"
        "AgNHADBEAiAsp9QPb6F8aMs/fIwQHLNTU2WA8TCO/VT9ztppJoMh1AIgYYxnxtyznn6NZpaNKkcCNntMyCcUBsFd"
        "rhX8BvCxLE4="
    ),
}


def certificate(name: str, folder: Path) -> Path:
    """A PEM file of one certificate."""
    path = folder / f"{name}.pem"
    path.write_text(_pem("CERTIFICATE", CERTIFICATES[name]))
    return path


def server_context(name: str, folder: Path) -> ssl.SSLContext:
    """What a server needs to show that certificate."""
    key = folder / "key.pem"
    key.write_text(_pem("PRIVATE KEY", KEY))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(name, folder), key)
    return context


def _pem(kind: str, text: str) -> str:
    body = "\n".join(textwrap.wrap(text, 64))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
