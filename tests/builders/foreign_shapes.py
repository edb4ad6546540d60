"""One line in each form in which others publish traces: the thought "one and one", the answer 2."""

from typing import Any

Line = dict[str, Any]
ASKED = [{"role": "user", "content": "1 + 1?"}]
THOUGHT, ANSWER = "one and one", "2"
INLINE = "<think>one and one</think>2"
TALK = [*ASKED, {"role": "assistant", "content": INLINE}]


def turn(**values: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": ANSWER, **values}


def asked(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    return [*ASKED, *turns]


REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {"index": 0, "message": turn(reasoning_content=THOUGHT), "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7},
}
ANTHROPIC = {
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": THOUGHT, "signature": "s"},
        {"type": "text", "text": ANSWER},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 7},
}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": THOUGHT, "thought": True}, {"text": ANSWER}],
            },
            "finishReason": "STOP",
        }
    ],
    "modelVersion": "m",
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7},
}
RESPONSES = {
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": ANSWER}],
        },
    ],
    "usage": {"input_tokens": 5, "output_tokens": 7},
}
INFO = {
    "source": "kodcode",
    "reference_answer": ANSWER,
    "test_case": None,
    "think_content": None,
    "answer_content": None,
}
AM = [
    {**ASKED[0], "info": INFO},
    {
        "role": "assistant",
        "content": "<think>one and one</think><answer>2</answer>",
        "info": {**dict.fromkeys(INFO), "think_content": THOUGHT, "answer_content": ANSWER},
    },
]

# Without a reference answer.
PLAIN: dict[str, Line] = {
    "dolphin_r1": {"messages": ASKED, "reasoning": THOUGHT, "answer": ANSWER, "model": "R1"},
    "medical_o1": {"Question": "1 + 1?", "Complex_CoT": THOUGHT, "Response": ANSWER},
    "nemotron": {
        "input": ASKED,
        "output": INLINE,
        "reasoning": "on",
        "system_prompt": "detailed thinking on",
        "generator": "R1",
    },
    "cot": {"question": "1 + 1?", "cot": THOUGHT, "answer": ANSWER},
    "null_response": {"messages": TALK, "response": None},
    "mixture_of_thoughts": {"messages": TALK, "num_tokens": 7},
    "stratos": {
        "system": "Think first.",
        "conversations": [
            {"from": "user", "value": "1 + 1?"},
            {
                "from": "assistant",
                "value": "<|begin_of_thought|>\n\none and one\n\n<|end_of_thought|>\n\n"
                "<|begin_of_solution|>\n\n2\n\n<|end_of_solution|>",
            },
        ],
    },
    "s1k": {
        "question": "1 + 1?",
        "solution": "Count.",
        "cot": None,
        "cot_type": "math",
        "thinking_trajectories": [THOUGHT],
        "attempt": ANSWER,
    },
    "s1k_11": {
        "question": "1 + 1?",
        "solution": "Count.",
        "deepseek_thinking_trajectory": THOUGHT,
        "deepseek_attempt": ANSWER,
    },
    "numina": {"problem": "1 + 1?", "solution": INLINE},
    "alpaca": {"instruction": "1 + 1?", "input": "", "output": INLINE},
    "trl": {"prompt": "1 + 1?", "completion": INLINE},
    "trl_turns": {"prompt": ASKED, "completion": [turn(content=INLINE)]},
    "answer_marks": {
        "prompt": "1 + 1?",
        "completion": "<think>one and one</think>\n<answer>2</answer>",
    },
    "answer_with_thought": {"question": "1 + 1?", "answer": INLINE},
    "camel_case": {"question": "1 + 1?", "reasoningContent": THOUGHT, "response": ANSWER},
    "reasoning_content": {"messages": asked(turn(reasoning_content=THOUGHT))},
    "thinking": {"messages": asked(turn(thinking=THOUGHT))},
    "both_fields": {"messages": asked(turn(reasoning=THOUGHT, reasoning_content=THOUGHT))},
    "in_details": {
        "messages": asked(turn(reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]))
    },
    "thought_turn": {
        "conversations": [
            {"from": "human", "value": "1 + 1?"},
            {"from": "thought", "value": THOUGHT},
            {"from": "gpt", "value": ANSWER},
        ]
    },
    "channels": {
        "messages": asked(turn(channel="analysis", content=THOUGHT), turn(channel="final"))
    },
    "gemini_turns": {
        "contents": [
            {"role": "user", "parts": [{"text": "1 + 1?"}]},
            {"role": "model", "parts": [{"text": THOUGHT, "thought": True}, {"text": ANSWER}]},
        ]
    },
    "table_of_turns": {"messages": {"role": ["user", "assistant"], "content": ["1 + 1?", INLINE]}},
    "field_and_tags": {"question": "1 + 1?", "reasoning": THOUGHT, "response": INLINE},
    "turn_and_tags": {"messages": asked(turn(reasoning_content=THOUGHT, content=INLINE))},
    "tags_in_the_field": {
        "question": "1 + 1?",
        "reasoning": "<think>\none and one\n</think>",
        "response": ANSWER,
    },
    "switch_beside": {
        "question": "1 + 1?",
        "reasoning": "high",
        "enable_thinking": True,
        "reasoning_content": THOUGHT,
        "response": ANSWER,
    },
    "pairs": {"conversation": [{"human": "1 + 1?", "assistant": INLINE}]},
    "thought_in_an_object": {
        "prompt": "1 + 1?",
        "reasoning": {"content": THOUGHT},
        "response": ANSWER,
    },
    "thought_in_parts": {
        "prompt": "1 + 1?",
        "reasoning": [{"type": "text", "text": THOUGHT}],
        "response": ANSWER,
    },
    "any_name_with_a_thought": {"user": "1 + 1?", "r1_says": INLINE},
    "bedrock": {
        "recordId": "1",
        "modelInput": {"messages": ASKED},
        "modelOutput": ANTHROPIC,
    },
    "log": {"request": {"model": "m", "messages": ASKED}, "response": REPLY},
    "ollama": {
        "prompt": "1 + 1?",
        "response": {"model": "m", "message": turn(thinking=THOUGHT), "done_reason": "stop"},
    },
}
# With the reference answer 2.
GOLDEN: dict[str, Line] = {
    "open_r1": {
        "problem": "1 + 1?",
        "solution": "Count.",
        "answer": "2",
        "generations": [INLINE],
        "correctness_math_verify": [True],
        "finish_reasons": ["stop"],
        "messages": TALK,
    },
    "open_thoughts": {
        "problem": "1 + 1?",
        "deepseek_reasoning": THOUGHT,
        "deepseek_solution": ANSWER,
        "ground_truth_solution": "2",
        "test_cases": None,
    },
    "am": {"messages": AM},
    "open_math_reasoning": {
        "problem": "1 + 1?",
        "generated_solution": INLINE,
        "expected_answer": "2",
        "generation_model": "R1",
        "inference_mode": "cot",
    },
    "general_thought": {
        "question": "1 + 1?",
        "reference_answer": "2",
        "model_name": "R1",
        "model_answer": ANSWER,
        "model_reasoning": THOUGHT,
    },
    "deep_math": {
        "question": "1 + 1?",
        "final_answer": "2",
        "r1_solution_1": INLINE,
        "r1_solution_2": INLINE,
    },
    "natural_reasoning": {
        "question": "1 + 1?",
        "reference_answer": "2",
        "responses": [{"response_model": "m", "response": INLINE}],
    },
    "verl": {
        "prompt": ASKED,
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "responses": [INLINE],
    },
    "two_answers": {
        "question": "1 + 1?",
        "thinking": THOUGHT,
        "answer": ANSWER,
        "ground_truth": "2",
    },
}
# Without the question: a batch's results name it by the request's id.
BATCHES: dict[str, Line] = {
    "openai_batch": {
        "id": "batch_req_1",
        "custom_id": "q-1",
        "response": {"status_code": 200, "body": REPLY},
        "error": None,
    },
    "responses_batch": {"custom_id": "q-1", "response": {"status_code": 200, "body": RESPONSES}},
    "anthropic_batch": {"custom_id": "q-1", "result": {"type": "succeeded", "message": ANTHROPIC}},
    "gemini_batch": {"custom_id": "q-1", "response": GEMINI},
}
