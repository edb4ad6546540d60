"""Merges a LoRA adapter into its base, for servers that want whole weights. Does not train.

``python -m distill.teachers.merge ADAPTER FOLDER``: a process of its own, so that torch's memory,
warnings and progress bars end with it.
"""

import sys
from pathlib import Path


def merge(adapter: Path, folder: Path) -> None:
    """Writes base + adapter into ``folder``, in the base's own dtype, with the adapter's tokenizer.

    The sum is made in float32: in bfloat16 small updates would be rounded away one by one.
    """
    import torch
    from peft import AutoPeftModelForCausalLM, PeftConfig
    from transformers import AutoConfig, AutoTokenizer

    base = PeftConfig.from_pretrained(adapter).base_model_name_or_path
    dtype = AutoConfig.from_pretrained(base).dtype or torch.bfloat16
    model = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)
    whole = model.merge_and_unload().to(dtype)
    whole.generation_config.do_sample = True  # else transformers serve ignores the temperature
    whole.save_pretrained(folder)
    own = (adapter / "tokenizer_config.json").is_file()
    AutoTokenizer.from_pretrained(adapter if own else base).save_pretrained(folder)


if __name__ == "__main__":
    merge(Path(sys.argv[1]), Path(sys.argv[2]))
