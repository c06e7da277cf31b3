#!/usr/bin/env python3
"""Prompts with one needle in real text, as JSON lines on standard output.

The texts are those that lie on any Debian machine (licences and a change log); none of them is part of
this repository. Each passage of 5,500 letters gets one planted sentence, at depth 0.2 and at 0.6, and is
asked about once with the question at the end and once, same document, at the start: 28 prompts.

    python3 scripts/licence_needles.py > needles.jsonl
"""

import gzip
import json
import re
import sys
from pathlib import Path

LICENCES = Path("/usr/share/common-licenses")
CHANGE_LOG = Path("/usr/share/doc/adduser/changelog.gz")
PASSAGE_LETTERS = 5500
DEPTHS = (0.2, 0.6)
# file, place, code
NEEDLES = (
    ("Apache-2.0", "harbour", "amber falcon"),
    ("GFDL-1.3", "observatory", "silver lantern"),
    ("GPL-2", "greenhouse", "copper violin"),
    ("GPL-3", "lighthouse", "velvet anchor"),
    ("LGPL-2.1", "museum", "crimson ladder"),
    ("MPL-2.0", "railway station", "golden compass"),
    ("change log", "town library", "purple kettle"),
)


def text_of(name):
    """The text of a source with runs of blanks as one."""
    if name == "change log":
        text = gzip.decompress(CHANGE_LOG.read_bytes()).decode("utf-8", "replace")
    else:
        text = (LICENCES / name).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", text)


def planted(passage, sentence, depth):
    """The passage with the sentence put in behind the sentence that ends nearest to the depth."""
    ends = [match.end() for match in re.finditer(r"[.;:] ", passage)] or [passage.rfind(" ") + 1]
    at = min(ends, key=lambda end: abs(end - depth * len(passage)))
    return passage[:at] + sentence + " " + passage[at:]


def main():
    missing = [str(path) for path in [LICENCES, CHANGE_LOG] if not path.exists()]
    if missing:
        sys.exit(f"this machine has no {' and no '.join(missing)}; the prompts need these texts of Debian")
    for name, place, code in NEEDLES:
        passage = text_of(name)[1000 : 1000 + PASSAGE_LETTERS]
        sentence = f"The code word of the {place} is {code}."
        question = f"Question: What is the code word of the {place}? Answer with one sentence from the text."
        for depth in DEPTHS:
            for question_place in ("end", "start"):
                print(
                    json.dumps(
                        {
                            "id": f"{name}-{depth}-{question_place}".replace(" ", "-"),
                            "task": "needle in a change log" if name == "change log" else "needle in a licence",
                            "context": planted(passage, sentence, depth),
                            "question": question,
                            "question_place": question_place,
                            "answer": sentence,
                            "values": [code],
                            "evidence": [sentence],
                        }
                    )
                )


if __name__ == "__main__":
    main()
