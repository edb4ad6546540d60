"""Chat templates with the properties of real ones that decide what a student is trained on."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# A system prompt of its own where the user gives none: Qwen2.5, SmolLM2.
OWN_SYSTEM = (
    "{% if messages[0].role != 'system' %}"
    "<|im_start|>system\nYou are Tiny, a helpful assistant.<|im_end|>\n{% endif %}" + CHATML
)

# The date of today in the system prompt: Llama 3.2.
DATED = "<|im_start|>system\nToday: {{ strftime_now('%d %b %Y') }}<|im_end|>\n" + CHATML

# A thought that is already open where the model begins, and is not there in training: QwQ.
OPENED = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")

# Every assistant turn without its reasoning: DeepSeek's R1-Distill.
FORGETFUL = CHATML.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")

# Turns before the last question without their reasoning: Qwen3.
FORGETS_EARLIER = (
    "{%- set ns = namespace(last=0) -%}{%- for m in messages -%}{%- if m.role == 'user' -%}"
    "{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
) + CHATML.replace(
    "{{ m.content }}",
    "{% if loop.index0 < ns.last %}{{ m.content.split('</think>')[-1].lstrip() }}"
    "{% else %}{{ m.content }}{% endif %}",
)

# What comes before an answer depends on whether there is one.
COUNTED = "<|im_start|>system\n{{ messages | length }} turns<|im_end|>\n" + CHATML

# DeepSeek's own marks, its beginning of text written by the template, reasoning forgotten.
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}"
    "<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>"
    "{% elif m.role == 'user' %}<｜User｜>{{ m.content }}{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)
