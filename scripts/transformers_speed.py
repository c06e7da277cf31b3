#!/usr/bin/env python3
"""Measures transformers on the shape of `kvlens check-device` and adds it to the check's JSON.

    python3 scripts/transformers_speed.py CHECK.json [--device cuda] [--limit SECONDS]

Needs torch and transformers; where they are not, the stage says so and the rest of the JSON stays as it is. Weights
are noise, as those of the check. Prefill and decode steps are taken with sdpa, as nothing is kept, and with eager
attention of which every weight is kept, as scripts of this field do; the latter at the shortest prompt alone, because it
holds layers x heads x tokens x tokens numbers.
"""

import argparse
import json
import pathlib
import signal
import sys
import time


class LimitReached(Exception):
    pass


def stop(*_):
    raise LimitReached


class Transformers:
    """One model of random weights on one device."""

    def __init__(self, shape, dtype, device, attention):
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        self.torch, self.device, self.shape = torch, torch.device(device), shape
        config = LlamaConfig(
            hidden_size=shape["hidden"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["query_heads"],
            num_key_value_heads=shape["kv_heads"],
            head_dim=shape["head_dim"],
            intermediate_size=shape["intermediate"],
            vocab_size=shape["vocabulary"],
            max_position_embeddings=max(shape["prompts"]) + 1024,
            tie_word_embeddings=False,
            attn_implementation=attention,
        )
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}[dtype]))
        try:
            with torch.device(self.device):
                self.model = LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(before)

    def seconds(self, work):
        self.wait()
        started = time.perf_counter()
        outcome = work()
        self.wait()
        return time.perf_counter() - started, outcome

    def wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def run(self, tokens, keeps_attention):
        """Prefill and decode steps behind it."""
        torch, steps = self.torch, self.shape["decoded"]
        prompt = torch.arange(tokens, device=self.device)[None] * 7919 % self.shape["vocabulary"]
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with torch.inference_mode():
            prefill, outcome = self.seconds(
                lambda: self.model(prompt, use_cache=True, logits_to_keep=1, output_attentions=keeps_attention)
            )

            def decode():
                token, cache = outcome.logits[:, -1:].argmax(-1), outcome.past_key_values
                for _ in range(steps):
                    after = self.model(
                        token, past_key_values=cache, use_cache=True, output_attentions=keeps_attention
                    )
                    token = after.logits[:, -1:].argmax(-1)

            decoded, _ = self.seconds(decode)
        peak = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None
        return {
            "prompt_tokens": tokens,
            "prefill_tokens_per_second": tokens / prefill,
            "milliseconds_of_a_step": 1e3 * decoded / steps,
            "peak_bytes": peak,
        }


def measure(shape, dtype, device, findings):
    for attention, keeps, prompts in (("sdpa", False, shape["prompts"]), ("eager", True, shape["prompts"][:1])):
        model = Transformers(shape, dtype, device, attention)
        # once before the clock runs: libraries load their kernels
        model.run(min(64, *prompts), keeps)
        for tokens in prompts:
            findings.append({"attention": attention, "keeps_attention": keeps, **model.run(tokens, keeps)})
        del model
        if device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()


def stage(report, device, limit):
    """What is added to the report of a check."""
    speed = next((stage for stage in report if stage["stage"] == "speed"), {"findings": []})
    own = next((finding for finding in speed["findings"] if "shape" in finding), None)
    added = {"stage": "transformers", "outcome": "left out", "seconds": 0.0, "failures": [], "findings": []}
    if own is None:
        return {**added, "findings": [{"why": "the check's own speed was not measured"}]}
    try:
        import torch
        import transformers
    except ImportError as error:
        return {**added, "findings": [{"why": str(error)}]}
    started = time.monotonic()
    findings = [{"torch": torch.__version__, "transformers": transformers.__version__, "dtype": own["dtype"]}]
    outcome, failures = "passed", []
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        measure(own["shape"], own["dtype"], device, findings)
    except LimitReached:
        outcome = "stopped"
    except Exception as error:  # whatever ends it, the check's own numbers stay
        outcome, failures = "failed", [f"{type(error).__name__}: {error}"]
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - started
    return {**added, "outcome": outcome, "seconds": seconds, "failures": failures, "findings": findings}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", type=pathlib.Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int, default=90)
    asked = parser.parse_args()
    report = json.loads(asked.check.read_text())
    added = stage(report, asked.device, asked.limit)
    report = [stage for stage in report if stage["stage"] != "transformers"] + [added]
    partial = asked.check.with_name(asked.check.name + ".partial")
    partial.write_text(json.dumps(report, indent=2) + "\n")
    partial.replace(asked.check)
    print(f"transformers: {added['outcome']} after {added['seconds']:.1f} s", file=sys.stderr)
    for sentence in added["failures"] + [finding["why"] for finding in added["findings"] if "why" in finding]:
        print(f"  {sentence}", file=sys.stderr)


main()
