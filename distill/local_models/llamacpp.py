"""Serves a GGUF file as an OpenAI-compatible chat API on loopback.

``python -m distill.local_models.llamacpp --model FILE --port N [--slots 8] [--context 2048]``. The
server is the one built into the xllamacpp wheel; it runs until the process is ended.
"""

import argparse
import signal
import sys
from pathlib import Path

from distill.errors import UserError, missing_extra
from distill.local_models.threads import chosen

OURS = "distill: "  # before our own line in the log


def serve(model: Path, *, port: int, slots: int, context: int, threads: int, alias: str) -> object:
    """The running server; it stops when this object is deleted.

    Args:
        model: a GGUF file.
        port: of 127.0.0.1.
        slots: answers written at the same time.
        context: tokens a slot, prompt and answer together.
        threads: that compute.
        alias: the model's name in requests and answers.

    Raises:
        UserError: xllamacpp is missing, or cannot serve this file on this port.
    """
    try:
        import xllamacpp
    except ModuleNotFoundError:
        raise missing_extra(module="xllamacpp", extra="local") from None

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = slots * context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cpuparams.poll = params.cpuparams_batch.poll = 0  # sleep rather than spin between steps
    # Only what a request asks for: the server's defaults of 40 and 0.05 would cut the tails of the
    # distribution on which pass@k is estimated.
    params.sampling.top_k = 0
    params.sampling.min_p = 0.0
    params.cache_ram_mib = 0  # no copy of finished prompts, as a question is asked once in a run
    # Verbatim content, tags and all: distill.think is the one place that separates them.
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        msg = f"{model}: llama.cpp cannot serve it on port {port}: {error}"
        raise UserError(msg) from None


def main() -> int:
    """Serves until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m distill.local_models.llamacpp")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--port", type=int, required=True, help="of 127.0.0.1")
    parser.add_argument("--slots", type=int, default=8, help="answers at the same time")
    parser.add_argument("--context", type=int, default=2048, help="tokens a slot")
    parser.add_argument("--threads", type=int, help="default: the cores that are free")
    parser.add_argument("--alias", help="the model's name; default: the file's")
    given = parser.parse_args()
    try:
        server = serve(
            given.model,
            port=given.port,
            slots=given.slots,
            context=given.context,
            threads=chosen(given.threads, key="--threads").count,
            alias=given.alias or given.model.name,
        )
    except UserError as error:
        sys.stderr.write(f"{OURS}{error}\n")
        return error.exit
    while server is not None:  # its threads answer; the signal's default action ends us
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
