"""Turns a GGUF file into a Hugging Face folder with the same weights.

``python -m distill.local_models.dequantise FILE FOLDER`` runs in its own process, so that torch's
memory, warnings and progress bars end with it.
"""

import sys
from pathlib import Path


def dequantise(gguf: Path, folder: Path) -> None:
    """Writes bf16 safetensors, tokenizer, chat template and generation config into ``folder``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    data = {"gguf_file": gguf.name, "trust_remote_code": False, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **data)
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        **data,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # A GGUF has no generation config; without do_sample, some servers decode greedily.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    dequantise(Path(sys.argv[1]), Path(sys.argv[2]))
