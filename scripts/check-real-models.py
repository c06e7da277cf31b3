#!/usr/bin/env python3
"""Holds kvlens against transformers on GGUF files: see check-real-models.sh.

For each file, both run the same prompt of about 1,000 tokens in float32 (the weights dequantised) and decode 16 steps,
of which kvlens' ids are fed to both. Compared are the prompt's ids (with the tokenizer rebuilt from the file by the rules
of its kind, because transformers' own conversion of these two is not right), the greedy ids, and every layer's and head's
attention on the prompt, of the decode steps and of the last 32 prompt rows.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

TOKENS, STEPS, ROWS, TOLERANCE = 1000, 16, 32, 1e-4
logging.set_verbosity_error()
logging.disable_progress_bar()


class Vocabulary:
    """The tokenizer in a GGUF file, by the rules of its kind."""

    def __init__(self, path):
        fields = gguf.GGUFReader(path).fields
        self.get = lambda key: fields[f"tokenizer.ggml.{key}"].contents() if f"tokenizer.ggml.{key}" in fields else None
        self.tokens = self.get("tokens")

    def encode(self, text):
        ids = self.byte_level(text) if self.get("model") == "gpt2" else self.sentence_piece(text)
        return ([self.get("bos_token_id")] if self.get("add_bos_token") else []) + ids

    def byte_level(self, text):
        """SmolLM2: each digit alone, then as GPT-2 cuts."""
        assert self.get("pre") == "smollm", self.get("pre")
        vocab = {token: i for i, token in enumerate(self.tokens)}
        merges = [tuple(merge.split(" ", 1)) for merge in self.get("merges")]
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        return tokenizer.encode(text).ids

    def sentence_piece(self, text):
        """The pieces with their scores, in Google's own implementation."""
        import sentencepiece
        from sentencepiece import sentencepiece_model_pb2 as proto

        model = proto.ModelProto()
        for token, score, kind in zip(self.tokens, self.get("scores"), self.get("token_type")):
            # llama.cpp's converter writes pieces that a user defined with plain spaces
            piece = token.replace(" ", "▁") if int(kind) == model.SentencePiece.USER_DEFINED else token
            model.pieces.add(piece=piece, score=score, type=int(kind))
        model.trainer_spec.model_type = proto.TrainerSpec.BPE
        model.trainer_spec.byte_fallback = True
        model.trainer_spec.unk_id = int(self.get("unknown_token_id"))
        model.trainer_spec.bos_id = int(self.get("bos_token_id"))
        model.trainer_spec.eos_id = int(self.get("eos_token_id"))
        model.normalizer_spec.name = "identity"
        model.normalizer_spec.add_dummy_prefix = bool(self.get("add_space_prefix") in (None, True))
        model.normalizer_spec.remove_extra_whitespaces = False
        return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString()).encode(text)


def prompt_of(path, vocabulary):
    """The beginning of a file, whole lines of it, as long as it stays below the tokens."""
    lines = open(path, encoding="utf-8").read().splitlines(keepends=True)
    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(vocabulary.encode("".join(lines[:middle]))) <= TOKENS else (low, middle)
    return "".join(lines[:low])


def capture(program, model, text, out):
    """The tensors of the session's one sample, and the ids that were generated."""
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([program, "capture", "--model", model, "--data", text, "--windows", f"last:{ROWS}", "--decode", str(STEPS),
                    "--ignore-eos", "--dtype", "f32", "--device", "cpu", "--out", out], check=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    sample = os.path.join(out, "sample-00000.safetensors")
    with open(sample, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return load_file(sample), json.loads(header["__metadata__"]["kvlens"])["record"]["generated_ids"]


def attention(sample, observation):
    """exp(q . k / sqrt(D) - log_sum_exp), [rows, L, H, T], what a row does not see being 0."""
    queries, keys = sample[f"observation.{observation}.queries"], sample["keys"].astype(np.float32)
    layers, heads, rows, width = queries.shape
    sums = sample[f"observation.{observation}.log_sum_exp"]
    weights = np.empty((rows, layers, heads, keys.shape[2]), np.float32)
    for layer in range(layers):
        for head in range(heads):
            logits = queries[layer, head] @ keys[layer, head * keys.shape[1] // heads].T / np.sqrt(width)
            weights[:, layer, head] = np.exp(logits - sums[layer, head][:, None])
    return weights


@torch.no_grad()
def reference(path, ids, generated):
    """Attention [rows, L, H, T] of the decode steps and of the last prompt rows, and the greedy ids on this way."""
    folder, name = os.path.split(path)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, attn_implementation="eager").eval()
    cache, greedy, steps = DynamicCache(), [], []
    out = model(torch.tensor([ids]), past_key_values=cache, output_attentions=True)
    last = torch.stack([layer[0, :, -ROWS:] for layer in out.attentions]).permute(2, 0, 1, 3).numpy()
    for token in generated:
        greedy.append(int(out.logits[0, -1].argmax()))
        out = model(torch.tensor([[token]]), past_key_values=cache, output_attentions=True)
        steps.append(torch.stack([layer[0, :, 0, :len(ids)] for layer in out.attentions]).numpy())
    return np.stack(steps), last, greedy, model.config.model_type


def visible(weights, expected):
    """Differences where transformers' row sees something; elsewhere a weight is formed that no row uses."""
    return float(np.abs(np.where(expected > 0, weights - expected, 0)).max())


def check(arguments, path):
    name = os.path.basename(path)
    vocabulary = Vocabulary(path)
    text = os.path.join(arguments.work, "prompt.txt")
    prompt = prompt_of(arguments.text, vocabulary)
    open(text, "w", encoding="utf-8").write(prompt)
    sample, generated = capture(arguments.program, path, text, os.path.join(arguments.work, f"{name}.kvlens"))
    ids = sample["prompt_ids"].tolist()
    same_ids = ids == vocabulary.encode(prompt)
    steps, last, greedy, kind = reference(path, ids, generated)
    decode_off = visible(attention(sample, 0), steps)
    window_off = visible(attention(sample, 1), last)
    same_greedy = greedy == generated
    told = (f"{name} ({kind}): {len(ids)} tokens of {arguments.text}, ids {'equal' if same_ids else 'DIFFER'}, "
            f"{STEPS} greedy ids {'equal' if same_greedy else 'DIFFER'}, attention off by at most {decode_off:.1e} in the decode "
            f"steps and {window_off:.1e} in the last {ROWS} rows")
    print(told, flush=True)
    return told, same_ids and same_greedy and max(decode_off, window_off) <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the built kvlens")
    parser.add_argument("--text", required=True, help="a text file of more than 1,000 tokens")
    parser.add_argument("--work", required=True, help="a folder for sessions")
    parser.add_argument("--keep", required=True, help="the file that the lines are kept in")
    parser.add_argument("models", nargs="+", help="GGUF files")
    arguments = parser.parse_args()
    # every model is looked at, whatever the one before it gave
    outcomes = [check(arguments, model) for model in arguments.models]
    with open(arguments.keep, "w", encoding="utf-8") as file:
        file.writelines(f"{told}\n" for told, _ in outcomes)
    if not all(agrees for _, agrees in outcomes):
        sys.exit("check-real-models: not everything agrees")


main()
