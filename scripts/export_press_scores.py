#!/usr/bin/env python3
"""Writes the scores of a kvpress press as a file that `kvlens capture --windows file:SCORES.safetensors` takes.

    python export_press_scores.py MODEL PROMPTS.jsonl SCORES.safetensors SnapKVPress window_size=64 kernel_size=5

MODEL is a folder or hub id, a row of PROMPTS.jsonl has its text under `prompt`. What stands behind the press's name are
its fields. Needs kvpress, transformers and torch; any press with a method `score` can be exported.
"""

import ast
import json
import sys

import kvpress
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(source, prompts, out, name, *fields):
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source)
    values = {key: ast.literal_eval(value) for key, value in (field.split("=") for field in fields)}
    # a press that removes nothing scores nothing
    press = getattr(kvpress, name)(**{"compression_ratio": 0.5, **values})
    scored, layers = press.score, {}

    def score(module, *rest):
        scores = scored(module, *rest)
        layers[module.layer_idx] = scores[0].float().cpu()
        return scores

    press.score = score
    tensors = {}
    with open(prompts) as rows:
        texts = [json.loads(row)["prompt"] for row in rows if row.strip()]
    for index, text in enumerate(texts):
        ids = tokenizer(text, return_tensors="pt").input_ids
        layers.clear()
        with torch.no_grad(), press(model):
            model(ids)
        tensors[f"{index}.prompt_ids"] = ids[0].contiguous()
        tensors[f"{index}.scores"] = torch.stack([layers[layer] for layer in sorted(layers)]).contiguous()
    # a press hands out what it ranks by, smoothed if it smooths at all
    save_file(tensors, out, {"kvlens": json.dumps({"format_version": 1, "pooled": True})})


if __name__ == "__main__":
    main(*sys.argv[1:])
