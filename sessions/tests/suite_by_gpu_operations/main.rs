//! What of the suite runs a model, once more by the operations that a GPU is run by: softmax step by step, masks that are
//! compared and not written out, larger blocks. No other test runs them where there is no card.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot lay out what it needs has failed"
)]

#[path = "../suite/common.rs"]
mod common;
#[path = "../suite/fidelity.rs"]
mod fidelity;
#[path = "../suite/gguf.rs"]
mod gguf;
#[path = "../suite/half_precision.rs"]
mod half_precision;
#[path = "../suite/long_rope.rs"]
mod long_rope;
#[path = "../suite/parity.rs"]
mod parity;
mod scores_there;
#[path = "../suite/sessions_on_disk.rs"]
mod sessions_on_disk;
#[path = "../suite/structure.rs"]
mod structure;
#[path = "../suite/window_parity.rs"]
mod window_parity;
#[path = "../suite/window_structure.rs"]
mod window_structure;

fn chosen(model: kvlens_sessions::model::Model) -> kvlens_sessions::model::Model {
    model.with_operations_of_a_gpu()
}
