"""Merges a LoRA adapter into its base, for servers that want whole weights.

``python -m distill.local_models.merge ADAPTER FOLDER`` runs in its own process, so that torch's
memory, warnings and progress bars end with it.
"""

import sys
from pathlib import Path

from distill.local_models.bits import import_bitsandbytes
from distill.local_models.open import OR_ADAPTER, open_model


def merge(adapter: Path, folder: Path) -> None:
    """Writes base + adapter into ``folder``, in the base's own dtype, with the adapter's tokenizer.

    The sum is computed in float32, because bfloat16 would round small updates away.
    """
    import_bitsandbytes()
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    student = open_model(str(adapter), at="adapter", needed=OR_ADAPTER).with_weights()
    base = student.base or student
    dtype = AutoConfig.from_pretrained(base.source, **base.options).dtype or torch.bfloat16
    own = student if (adapter / "tokenizer_config.json").is_file() else base
    tokenizer = AutoTokenizer.from_pretrained(own.source, **own.options)
    model = AutoModelForCausalLM.from_pretrained(
        base.source, dtype=torch.float32, use_safetensors=True, **base.options
    )
    if own is student and len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    whole = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().to(dtype)
    whole.generation_config.do_sample = True  # else transformers serve ignores the temperature
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    merge(Path(sys.argv[1]), Path(sys.argv[2]))
