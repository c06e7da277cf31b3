//! p-values corrected for the number of questions that were asked at once, such as one per head of a map.

use crate::error::AnalysisError;

/// p-values that control the family-wise error, the chance of a single false finding (Holm, Scandinavian
/// Journal of Statistics 6, 1979); valid whatever the dependence between heads. In the order given.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] for a value outside 0..=1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, AnalysisError> {
    let ascending = ascending(p_values)?;
    let count = p_values.len();
    let mut adjusted = vec![0.0; count];
    let mut largest = 0.0_f64;
    for (place, &index) in ascending.iter().enumerate() {
        largest = largest.max((count - place) as f64 * p_values[index]);
        adjusted[index] = largest.min(1.0);
    }
    Ok(adjusted)
}

/// p-values that control the false discovery rate, the expected share of false findings among all findings
/// (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995); valid for independent
/// or positively dependent heads. In the order given.
///
/// # Errors
/// [`AnalysisError::OutOfBounds`] for a value outside 0..=1.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, AnalysisError> {
    let ascending = ascending(p_values)?;
    let count = p_values.len() as f64;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (place, &index) in ascending.iter().enumerate().rev() {
        smallest = smallest.min(count / (place + 1) as f64 * p_values[index]);
        adjusted[index] = smallest;
    }
    Ok(adjusted)
}

/// Indices of the p-values from the smallest up, equals by the lower index.
fn ascending(p_values: &[f64]) -> Result<Vec<usize>, AnalysisError> {
    if let Some(wrong) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(AnalysisError::OutOfBounds {
            what: "a p-value",
            bounds: "between 0 and 1",
            value: wrong.to_string(),
        });
    }
    let mut indices: Vec<usize> = (0..p_values.len()).collect();
    indices.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values_by_hand() {
        let p = [0.04, 0.01, 0.02];
        assert_eq!(holm(&p).unwrap(), [0.04, 0.03, 0.04]);
        let adjusted = benjamini_hochberg(&p).unwrap();
        for (found, expected) in adjusted.iter().zip([0.04, 0.03, 0.03]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
    }

    #[test]
    fn none_and_one_stay_as_they_are() {
        assert_eq!(holm(&[]), Ok(vec![]));
        assert_eq!(holm(&[0.25]), Ok(vec![0.25]));
        assert_eq!(benjamini_hochberg(&[0.25]), Ok(vec![0.25]));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for wrong in [f64::NAN, -0.1, 1.1] {
            assert!(holm(&[0.5, wrong]).is_err());
            assert!(benjamini_hochberg(&[wrong]).is_err());
        }
    }
}
