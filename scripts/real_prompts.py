#!/usr/bin/env python3
"""The prompts of the study of a real model, as JSON lines.

    python3 scripts/real_prompts.py train FOLDER    training.jsonl and held-out.jsonl
    python3 scripts/real_prompts.py test FOLDER     study.jsonl

The texts are the licences that lie on any Debian machine, of which nothing is part of this repository, and the pieces
that were written for `kvlens demo --model`. They are split by family, because the versions of a licence share sentences:
the trained windows see the GPL, the LGPL and the Artistic licence; the prompts of the study come from the Apache, Mozilla,
free documentation and Creative Commons licences and from the pieces.

The study has three tasks of eight documents: a sentence planted in a licence (needle), a question about what stands in a
licence or a piece (question), a summary of one (summary). Every document is asked about once at its end and once at its
start. Passages of one licence may overlap from task to task, never within a task.
"""

import itertools
import json
import re
import sys
from pathlib import Path

LICENCES = Path("/usr/share/common-licenses")
PIECES = Path(__file__).resolve().parent.parent / "datasets/pieces"

TRAINING_LICENCES = ("GPL-1", "GPL-2", "GPL-3", "LGPL-2.1")
HELD_OUT_LICENCES = ("Artistic", "LGPL-3")
# letters of the training passages in turn: shorter than the study's, because every prompt's cache is kept
TRAINING_LETTERS = (1600, 2400, 4800)
HELD_OUT_LETTERS = (1600,)


def plain(text):
    """A text with runs of blanks as one."""
    return re.sub(r"\s+", " ", text).strip()


def licence(name):
    """The text of a licence of this machine."""
    return plain((LICENCES / name).read_text(encoding="utf-8"))


def passages(text, lengths):
    """Passages of these numbers of letters in turn that end with a sentence; what is left at the end falls away."""
    start = 0
    for letters in itertools.cycle(lengths):
        if len(text) - start < letters:
            return
        end = max((match.end() for match in re.finditer(r"[.;:] ", text[start : start + letters])), default=letters)
        yield text[start : start + end].strip()
        start += end


def planted(passage, sentence, depth):
    """The passage with the sentence put in behind the sentence that ends nearest to the depth."""
    ends = [match.end() for match in re.finditer(r"[.;:] ", passage)] or [passage.rfind(" ") + 1]
    at = min(ends, key=lambda end: abs(end - depth * len(passage)))
    return passage[:at] + sentence + " " + passage[at:]


def write(folder, name, rows):
    """Writes one file, one row a line."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (Path(folder) / name).write_text(text, encoding="utf-8")


# ---- what the windows are trained on

TRAINING_NEEDLES = (
    ("The password of the {} is {}.", "What is the password of the {}?"),
    ("The meeting in the {} was moved to {}.", "To when was the meeting in the {} moved?"),
    ("The key of the {} hangs behind the {}.", "Behind what does the key of the {} hang?"),
    ("The owner of the {} is called {}.", "What is the owner of the {} called?"),
)
TRAINING_PLACES = ("bakery", "castle", "swimming pool", "cinema", "power station", "bridge", "stable", "archive")
TRAINING_VALUES = (
    ("green window", "nine apples", "quiet thunder"),
    ("Tuesday at four", "the first of May", "half past eleven"),
    ("blue curtain", "oak cupboard", "old barometer"),
    ("Irma Sandberg", "Paolo Ruiz", "Hetty Novak"),
)
TRAINING_QUESTIONS = (
    "What does the text say about {}?",
    "Which sentence of the text speaks of {}?",
    "What must someone do, according to the text, where {} is concerned?",
    "Why does the text mention {}?",
)
TRAINING_SUMMARIES = (
    "Summarise the text in three sentences.",
    "What are the main points of the text?",
    "Explain to a friend in a few sentences what the text is about.",
    "Give the text a title and say in two sentences what it covers.",
)


def words_of(passage):
    """Longer words of a passage, the rarer ones first, in an order that depends on the text alone."""
    words = re.findall(r"[a-z]{7,}", passage)
    return sorted(set(words), key=lambda word: (words.count(word), word))


def training_row(index, source, passage):
    """One prompt of a passage: needle, question and summary in turn, the question at the end and at the start in turn."""
    kind = index % 3
    if kind == 0:
        form = (index // 3) % len(TRAINING_NEEDLES)
        sentence, question = TRAINING_NEEDLES[form]
        place = TRAINING_PLACES[(index // 3) % len(TRAINING_PLACES)]
        value = TRAINING_VALUES[form][(index // 7) % 3]
        passage = planted(passage, sentence.format(place, value), (0.15, 0.4, 0.65, 0.9)[(index // 6) % 4])
        question = question.format(place)
    elif kind == 1:
        rare = words_of(passage)
        question = TRAINING_QUESTIONS[(index // 3) % 4].format(f'"{rare[(index * 5) % min(len(rare), 12)]}"')
    else:
        question = TRAINING_SUMMARIES[(index // 3) % 4]
    return {
        "id": f"{source}-{index}",
        "task": ("needle", "question", "summary")[kind],
        "context": passage,
        "question": question,
        "question_place": ("end", "start")[(index // 3 + kind) % 2],
    }


def train(folder):
    """Training and held-out prompts."""
    kinds = (("training.jsonl", TRAINING_LICENCES, TRAINING_LETTERS), ("held-out.jsonl", HELD_OUT_LICENCES, HELD_OUT_LETTERS))
    for name, licences, letters in kinds:
        sources = [(source, passage) for source in licences for passage in passages(licence(source), letters)]
        write(folder, name, [training_row(i, source, passage) for i, (source, passage) in enumerate(sources)])


# ---- what the study asks

# licence, where its passage begins and how long it is (letters), depth of the sentence, the sentence, its question, the value
NEEDLES = (
    ("Apache-2.0", 900, 5200, 0.15, "The code word of the harbour is amber falcon.", "What is the code word of the harbour?"),
    ("MPL-2.0", 0, 5200, 0.55, "The night porter of the museum is Emil Vasko.", "Who is the night porter of the museum?"),
    ("MPL-2.0", 5400, 5200, 0.85, "The spare rope of the ferry lies under the third bench.", "Where does the spare rope of the ferry lie?"),
    ("MPL-1.1", 0, 12500, 0.3, "The code word of the lighthouse is velvet anchor.", "What is the code word of the lighthouse?"),
    ("MPL-1.1", 12800, 9000, 0.7, "The concert in the greenhouse begins at twenty past nine.", "When does the concert in the greenhouse begin?"),
    ("GFDL-1.3", 0, 5200, 0.4, "The parcel for the observatory was signed by Ines Holt.", "Who signed the parcel for the observatory?"),
    ("GFDL-1.3", 5400, 7000, 0.1, "The code word of the town library is purple kettle.", "What is the code word of the town library?"),
    ("GFDL-1.3", 12800, 5200, 0.95, "The gate of the orchard opens with a silver spoon.", "With what does the gate of the orchard open?"),
)
NEEDLE_VALUES = (
    "amber falcon", "Emil Vasko", "third bench", "velvet anchor", "twenty past nine", "Ines Holt", "purple kettle", "silver spoon",
)
# licence, letters, depth of the sentence that answers, some words of it, the question, the value
QUESTIONS = (
    ("Apache-2.0", 5200, 0.5, "patent litigation against any entity", "What ends the patent licences that the text grants?", "litigation"),
    ("MPL-2.0", 5200, 0.75, "30 days after", "Within how many days after the first notice of a breach must it be mended for the rights to come back?", "30 days"),
    ("GFDL-1.3", 5200, 0.3, "Opaque copies of the Document numbering", "More than how many opaque copies must somebody publish before a machine-readable copy is owed?", "100"),
    ("CC0-1.0", 5200, 0.8, "No trademark or patent rights", "Which rights of the affirmer stay as they are?", "patent"),
)
# licence, where the passage begins, its letters
SUMMARIES = (("MPL-1.1", 5000, 5200), ("CC0-1.0", 0, 5200), ("GFDL-1.3", 8000, 5200), ("MPL-2.0", 10300, 5200))
PIECE_NAMES = ("manual", "travel", "minutes", "story")


def passage_of(text, start, letters):
    """Letters of a text from the sentence that begins at or behind the start, up to the end of a sentence."""
    if start > 0:
        start = min((match.end() for match in re.finditer(r"[.;:] ", text) if match.end() >= start))
    cut = text[start : start + letters]
    end = max(match.end() for match in re.finditer(r"[.;:] ", cut + " "))
    return cut[:end].strip()


def sentence_with(text, words):
    """Where the sentence with these words begins and ends."""
    at = text.index(words)
    begin = max((match.end() for match in re.finditer(r"[.;:] ", text[:at])), default=0)
    end = re.search(r"[.;:]( |$)", text[at:])
    return begin, at + end.start() + 1


def piece(name):
    """Question, values, text and marked sentence of a piece."""
    question, values, text = (PIECES / f"{name}.txt").read_text(encoding="utf-8").split("\n", 2)
    before, rest = text.split("[[")
    fact, after = rest.split("]]")
    values = values.removeprefix("values: ").split("; ")
    return question.removeprefix("question: "), values, (before + fact + after).strip(), fact


def needle_rows():
    """A sentence planted in a licence."""
    for (name, start, letters, depth, sentence, question), value in zip(NEEDLES, NEEDLE_VALUES, strict=True):
        passage = planted(passage_of(licence(name), start, letters), sentence, depth)
        yield f"{name}-{start}", passage, f"{question} Answer with one sentence from the text.", [value], [sentence]


def question_rows():
    """What stands in a licence or in a piece."""
    for name, letters, depth, words, question, value in QUESTIONS:
        text = licence(name)
        begin, end = sentence_with(text, words)
        passage = passage_of(text, max(0, min(begin - int(depth * letters), len(text) - letters)), letters)
        yield name, passage, f"{question} Answer in one sentence.", [value], [text[begin:end]]
    for name in PIECE_NAMES:
        question, values, text, fact = piece(name)
        yield name, text, f"{question} Answer in one sentence.", values, [fact]


def summary_rows():
    """Nothing to look for, everything to weigh."""
    question = "Summarise the text in three sentences."
    for name, start, letters in SUMMARIES:
        yield f"{name}-{start}", passage_of(licence(name), start, letters), question, [], []
    for name in PIECE_NAMES:
        yield name, piece(name)[2], question, [], []


def study_rows(task, name, passage, question, values, evidence):
    """One document, asked about at its end and at its start."""
    for part in evidence:
        assert part in passage, (task, name, part)
    for place in ("end", "start"):
        row = {"id": f"{task}-{name}-{place}", "task": task, "context": passage}
        row |= {"question": f"Question: {question}", "question_place": place}
        yield row | ({"values": values, "evidence": evidence} if values else {})


def test(folder):
    """The prompts of the study, task after task in turn, so that the first few have all of them."""
    turns = zip(needle_rows(), question_rows(), summary_rows(), strict=True)
    tasks = ("needle", "question", "summary")
    documents = [(task, *document) for turn in turns for task, document in zip(tasks, turn, strict=True)]
    write(folder, "study.jsonl", [row for document in documents for row in study_rows(*document)])


def main():
    kinds = {"train": train, "test": test}
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    if not LICENCES.is_dir():
        sys.exit(f"this machine has no {LICENCES}; the prompts are made of the texts that Debian keeps there")
    kinds[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
