//! Constants of the numerics that pages name.

use kvlens_analysis::agreement::RBO_PERSISTENCE;
use kvlens_analysis::allocation::{ADAPTIVE_FLOOR, PYRAMID_BETA};
use kvlens_analysis::comparison::{RECALL_AUC_FIRST_PERCENT, RECALL_AUC_LAST_PERCENT};
use kvlens_analysis::statistics::{FEWEST_TO_RESAMPLE, RESAMPLES, SIGN_FLIPS, WIN_LEVEL};
use minijinja::{Error, ErrorKind};

/// One of them, as a page writes it.
pub fn constant(name: &str) -> Result<String, Error> {
    Ok(match name {
        "adaptive_floor" => ADAPTIVE_FLOOR.to_string(),
        "adaptive_rest" => (1.0 - ADAPTIVE_FLOOR).to_string(),
        "auc_first" => RECALL_AUC_FIRST_PERCENT.to_string(),
        "auc_last" => RECALL_AUC_LAST_PERCENT.to_string(),
        "fewest_to_resample" => FEWEST_TO_RESAMPLE.to_string(),
        "pyramid_beta" => PYRAMID_BETA.to_string(),
        "rbo_persistence" => RBO_PERSISTENCE.to_string(),
        "resamples" => RESAMPLES.to_string(),
        "sign_flips" => SIGN_FLIPS.to_string(),
        "win_level" => WIN_LEVEL.to_string(),
        _ => {
            let said = format!("no constant is named {name}");
            return Err(Error::new(ErrorKind::InvalidOperation, said));
        }
    })
}
