"""TLS that cannot be had ends the run with one line; a request that never left costs nothing."""

import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest

import distill
from distill.errors import Exit, StoppedError
from distill.teachers import pool, retry
from tests.builders.certificates import CERTIFICATES, certificate, server_context
from tests.builders.faults import (
    GOOD,
    PRICE,
    listen,  # noqa: F401
    recipe,
    stops,
)
from tests.builders.runs import assert_all_there, errors, ledger
from tests.builders.sockets import Meet, http, listening, raw_server
from tests.builders.teacher_server import refusal, teacher_server

SPENT = "SELECT COALESCE(SUM(COALESCE(cost_usd, worst_usd)), 0) FROM attempts"


def speaking_tls(context: ssl.SSLContext) -> Meet:
    """Answers each request within TLS."""

    def meet(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            data = b""
            while b'"messages"' not in data:
                if not (part := inner.recv(65536)):
                    return
                data += part
            inner.sendall(http(GOOD))

    return meet


UNTRUSTED = {
    "self-signed": ("good", False, "self-signed certificate"),
    "expired": ("expired", True, "certificate has expired"),
    "of another host": ("another host", True, "IP address mismatch"),
}


@pytest.mark.parametrize("kind", UNTRUSTED)
def test_a_certificate_that_cannot_be_trusted_ends_the_run_with_one_line(
    kind: str, tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, known, why = UNTRUSTED[kind]
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate(shown, tmp_path)))
    with listening(speaking_tls(server_context(shown, tmp_path))) as there:
        name = recipe(tmp_path, f"https://{there}/v1", teacher=PRICE)
        begun = time.monotonic()
        with stops(
            heard, StoppedError, f"{there}: its certificate cannot be trusted .{why}.*next:"
        ):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)
        assert time.monotonic() - begun < 5
    assert ledger(tmp_path / "run", SPENT) == [0]
    assert len(errors(tmp_path / "run")) <= 4  # those that were under way together


def test_a_certificate_that_is_named_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(CERTIFICATES) == {"good", "expired", "another host"}
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate("good", tmp_path)))
    with listening(speaking_tls(server_context("good", tmp_path))) as there:
        name = recipe(tmp_path, f"https://{there}/v1", teacher=PRICE)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert_all_there(tmp_path / "run", 5)


def test_a_bad_certificate_leaves_that_teacher_out_and_the_other_does_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        listening(speaking_tls(server_context("good", tmp_path))) as there,
        teacher_server() as other,
    ):
        name = recipe(tmp_path, f"https://{there}/v1", other.url, problems=40)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert other.asked.total() == 40
    assert_all_there(tmp_path / "run", 40)
    left_out = [line for line in caplog.text.splitlines() if "is left out" in line]
    assert len(left_out) == 1
    assert "its certificate cannot be trusted" in left_out[0]


def alert(connection: socket.socket) -> None:
    """What OpenSSL answers to what is no TLS."""
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")


def in_clear(words: str) -> Meet:
    def meet(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(http(words.encode(), status="400 Bad Request"))

    return meet


@pytest.mark.parametrize("says_why", [False, True])
def test_http_to_a_port_for_tls_ends_the_run_and_costs_nothing(
    says_why: bool, tmp_path: Path, heard: list[str]
) -> None:
    meet = alert if says_why else speaking_tls(server_context("good", tmp_path))
    with listening(meet) as there:
        name = recipe(tmp_path, f"http://{there}/v1", teacher=PRICE)
        with stops(
            heard, StoppedError, f"{there}: speaks TLS, so no request was read; next: https"
        ):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert ledger(tmp_path / "run", SPENT) == [0]


@pytest.mark.parametrize(
    "words",
    [
        "<h1>400 The plain HTTP request was sent to HTTPS port</h1>",
        "Client sent an HTTP request to an HTTPS server.",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
    ],
)
def test_a_server_that_says_that_its_port_is_for_tls_is_believed(
    words: str, tmp_path: Path, heard: list[str]
) -> None:
    with listening(in_clear(words)) as there:
        name = recipe(tmp_path, f"http://{there}/v1", problems=40, teacher=PRICE)
        with stops(heard, StoppedError, "speaks TLS"):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert ledger(tmp_path / "run", SPENT) == [0]
    assert len(errors(tmp_path / "run")) <= 4


def test_https_to_a_port_without_tls_ends_the_run_and_costs_nothing(
    tmp_path: Path, heard: list[str]
) -> None:
    with teacher_server() as server:
        url = server.url.replace("http:", "https:")
        name = recipe(tmp_path, url, teacher=PRICE)
        with stops(heard, StoppedError, "speaks no TLS; nothing was sent; next: http://"):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert ledger(tmp_path / "run", SPENT) == [0]


def test_a_handshake_that_is_refused_ends_the_run(tmp_path: Path, heard: list[str]) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure

    with listening(refuse) as there:
        name = recipe(tmp_path, f"https://{there}/v1", teacher=PRICE)
        with stops(heard, StoppedError, "no TLS connection .*handshake failure"):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert ledger(tmp_path / "run", SPENT) == [0]


def test_a_server_that_wants_our_certificate_ends_the_run(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate("good", tmp_path)))
    context = server_context("good", tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    with listening(speaking_tls(context)) as there:
        name = recipe(tmp_path, f"https://{there}/v1", teacher=PRICE)
        with stops(heard, StoppedError, "no TLS connection .*certificate required"):
            distill.generate(name, out=tmp_path / "run", budget_usd=1)


def close_at_once(connection: socket.socket) -> None:
    connection.close()


def wait_silently(connection: socket.socket) -> None:
    connection.settimeout(30)
    with suppress(OSError):
        while connection.recv(65536):
            pass


# What happens before a request can have left: (who is there, whether over TLS)
NEVER_LEFT: dict[str, Meet] = {
    "hangs up in the handshake": close_at_once,
    "is silent in the handshake": wait_silently,
}


@pytest.mark.parametrize("kind", NEVER_LEFT)
def test_a_handshake_that_breaks_off_is_tried_again_and_costs_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    with listening(NEVER_LEFT[kind]) as there:
        teacher = {**PRICE, "timeout_s": 0.5}
        name = recipe(tmp_path, f"https://{there}/v1", problems=2, teacher=teacher)
        assert distill.generate(name, out=tmp_path / "run", budget_usd=1) == Exit.ROWS_FAILED
    assert len(errors(tmp_path / "run")) == 4
    assert ledger(tmp_path / "run", SPENT) == [0]


def test_a_name_that_nobody_knows_costs_nothing(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "GIVE_UP_S", 0.1)
    name = recipe(tmp_path, "http://nobody.invalid/v1", problems=12, teacher=PRICE)
    with stops(heard, StoppedError, "no connection"):
        distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert ledger(tmp_path / "run", SPENT) == [0]


def test_a_server_that_reads_and_hangs_up_may_have_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    with raw_server(lambda n: []) as server:
        name = recipe(tmp_path, server.url, problems=1, teacher=PRICE)
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
    assert ledger(tmp_path / "run", SPENT)[0] == pytest.approx(0.2, rel=0.05)


def test_a_refusal_in_http_is_no_sign_of_tls(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: refusal(400, "too long") if n == 1 else {}) as server:
        name = recipe(tmp_path, server.url, problems=1)
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
    assert errors(tmp_path / "run") == ["400 too long"]
