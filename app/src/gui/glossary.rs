//! Every term in a sentence, with its formula where it has one and its source: one place for help and views.

/// A term of the field.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// The word as views and tables use it.
    pub name: &'static str,
    /// A sentence or two.
    pub text: &'static str,
    /// The formula; empty where there is none.
    pub formula: &'static str,
    /// Who defined it so.
    pub source: &'static str,
}

/// The terms, in the order in which they build on each other.
pub const TERMS: [Term; 27] = [
    Term {
        name: "KV cache",
        text: "Keys and values of all tokens so far, kept so that a new token need not run them again. It grows with the prompt, so methods evict what will hardly be attended to.",
        formula: "",
        source: "",
    },
    Term {
        name: "decode stage",
        text: "The generated tokens, fed back one by one behind the prompt. The query that produces the first of them is the last prompt token and belongs to the prompt.",
        formula: "positions T, T + 1, ...",
        source: "DESIGN.md",
    },
    Term {
        name: "observation window",
        text: "A set of queries whose attention on the prompt's keys serves as a forecast of the decode stage, such as those of the last 32 prompt tokens.",
        formula: "",
        source: "SnapKV, arXiv 2404.14469",
    },
    Term {
        name: "oracle",
        text: "The decode stage itself, taken as one more window: what the other windows try to foresee.",
        formula: "",
        source: "DESIGN.md",
    },
    Term {
        name: "importance",
        text: "One score for each prompt token, layer and head: a window's attention weights reduced over its rows, then pooled along the positions, then reduced over grouped heads.",
        formula: "s_j = mean over rows i of softmax(q_i . k_j / sqrt(D))",
        source: "SnapKV; LookaheadKV",
    },
    Term {
        name: "ranking",
        text: "Prompt tokens by falling importance; of two equal ones the earlier comes first.",
        formula: "",
        source: "DESIGN.md",
    },
    Term {
        name: "budget",
        text: "How many prompt tokens a head may keep, in tokens or as a share of the prompt.",
        formula: "B, or B / T",
        source: "",
    },
    Term {
        name: "recall",
        text: "Share of the decode stage's top tokens that are in the window's top tokens. A random ranking reaches B / T.",
        formula: "|top_B(oracle) and top_B(window)| / B",
        source: "DapQ, arXiv 2603.11564, section 3.3; LAQ, arXiv 2505.20334",
    },
    Term {
        name: "hit rate",
        text: "The same over what a cache would keep, tokens counted that the method keeps whatever their score.",
        formula: "|kept(oracle) and kept(window)| / B",
        source: "Judge Q, arXiv 2509.10798",
    },
    Term {
        name: "jaccard",
        text: "Tokens in both top sets over tokens in either.",
        formula: "|A and B| / |A or B|",
        source: "Jaccard 1912",
    },
    Term {
        name: "retained mass",
        text: "Decode attention on the prompt that the window's top tokens keep; its share compares it with what the oracle's own top tokens keep.",
        formula: "sum of mean decode attention over top_B(window)",
        source: "H2O, arXiv 2306.14048",
    },
    Term {
        name: "forced-keep tokens",
        text: "Tokens that a method never evicts: the first ones (sinks) or the most recent ones.",
        formula: "",
        source: "StreamingLLM, arXiv 2309.17453; SnapKV",
    },
    Term {
        name: "pooling",
        text: "Replaces a score by the largest or the mean of its neighbours, so that whole phrases are kept. The maximum over seven makes every peak seven tokens wide.",
        formula: "s'_j = max of s_(j-3) ... s_(j+3)",
        source: "SnapKV",
    },
    Term {
        name: "query head, key/value head",
        text: "With grouped attention several query heads share the keys and values of one head. A method may score each query head on its own or the group together.",
        formula: "group = H / G",
        source: "GQA, arXiv 2305.13245",
    },
    Term {
        name: "needed tokens",
        text: "The tokens of the prompt that hold what the answer needs, known for generated prompts.",
        formula: "",
        source: "kvlens-datasets",
    },
    Term {
        name: "drift",
        text: "What decoding attends to moves while it goes on. Recall of step i takes that single step's row of attention as the oracle; recall up to step n the mean of the first n.",
        formula: "|top_B(row i of decode) and top_B(window)| / B",
        source: "DESIGN.md; the question behind LAQ, arXiv 2505.20334",
    },
    Term {
        name: "recall by place",
        text: "W queries in a row are taken as the window, wherever they stand: recall rises towards the end of the prompt and is highest in the generation.",
        formula: "window = queries p - W + 1 ... p",
        source: "LAQ, arXiv 2505.20334, motivation figure",
    },
    Term {
        name: "query similarity",
        text: "Cosine of a window's i-th query with that of decode step i, for each layer and query head; before the rotary embedding, where only content counts, and after it.",
        formula: "q . q' / (|q| |q'|)",
        source: "DapQ, arXiv 2603.11564, Table 1",
    },
    Term {
        name: "interventions",
        text: "The decode tokens run behind the prompt again with one thing changed: other tokens at their positions, or the same tokens nearer to the start. With nothing changed the cosine is 1.",
        formula: "",
        source: "DapQ, arXiv 2603.11564, Table 1 and appendix A.1",
    },
    Term {
        name: "fidelity",
        text: "What eviction does to the output. Both caches are fed the same tokens; the divergence of the evicted cache's next-token distribution q from the full cache's p is averaged over the steps.",
        formula: "KL = sum p ln(p / q), in nats",
        source: "Kullback and Leibler 1951; the token that comes out of the prompt itself is left out",
    },
    Term {
        name: "top-1 agreement",
        text: "Share of the decode steps at which full and evicted cache find the same token most likely.",
        formula: "mean of [argmax p = argmax q]",
        source: "",
    },
    Term {
        name: "answer likelihood",
        text: "Mean negative log-likelihood of the reference answer's tokens behind the evicted cache: the logarithm of the answer's perplexity.",
        formula: "-1/n sum ln q(answer_i)",
        source: "",
    },
    Term {
        name: "task score",
        text: "Share of the wanted values that a free greedy generation names.",
        formula: "",
        source: "RULER, arXiv 2404.06654, string match",
    },
    Term {
        name: "LAQ, LAQ++",
        text: "Queries of a few tokens that the model decodes ahead on an evicted copy of the cache; LAQ++ adds the last prompt queries.",
        formula: "",
        source: "Lookahead Q-Cache, arXiv 2505.20334",
    },
    Term {
        name: "DapQ",
        text: "Queries of pseudo tokens at the positions where the first decode tokens will stand.",
        formula: "",
        source: "arXiv 2603.11564",
    },
    Term {
        name: "Judge Q",
        text: "Queries of soft tokens that were trained to attend as the model's own response does.",
        formula: "MSE of the mean attention",
        source: "arXiv 2509.10798",
    },
    Term {
        name: "LookaheadKV",
        text: "Queries of learned tokens with low-rank adapters that act on them alone, trained by the divergence from the response's importance.",
        formula: "KL(decode || tokens)",
        source: "METHODS.md, section 3",
    },
];
