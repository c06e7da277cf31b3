//! Which heads a figure takes means over.

/// A choice of layers and of heads; an empty list is all.
#[derive(Debug, Clone, Default)]
pub struct HeadChoice {
    /// Layers.
    pub layers: Vec<usize>,
    /// Heads of each layer.
    pub heads: Vec<usize>,
}

impl HeadChoice {
    /// Whether a head takes part.
    pub fn has(&self, layer: usize, head: usize) -> bool {
        let among = |list: &[usize], number| list.is_empty() || list.contains(&number);
        among(&self.layers, layer) && among(&self.heads, head)
    }

    /// Mean over the chosen of `[L, heads]` values, those left out that are undefined (NaN); NaN where none is left.
    pub fn mean(&self, values: impl Iterator<Item = f64>, heads: usize) -> f64 {
        let heads = heads.max(1);
        let chosen = values
            .enumerate()
            .filter(|(index, value)| !value.is_nan() && self.has(index / heads, index % heads));
        let (mut sum, mut count) = (0.0, 0.0);
        for (_, value) in chosen {
            sum += value;
            count += 1.0;
        }
        sum / count
    }

    /// The same choice within one layer.
    pub fn within(&self, layer: usize) -> Self {
        Self {
            layers: vec![layer],
            heads: self.heads.clone(),
        }
    }

    /// What is chosen, in words; none for everything.
    pub fn words(&self) -> Option<String> {
        let list = |what: &str, numbers: &[usize]| {
            let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
            (!numbers.is_empty()).then(|| format!("{what} {}", numbers.join(", ")))
        };
        let parts = [list("layer", &self.layers), list("head", &self.heads)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_chosen_heads() {
        let values = || (0..6).map(f64::from);
        let of = |layers: &[usize], heads: &[usize]| HeadChoice {
            layers: layers.to_vec(),
            heads: heads.to_vec(),
        };
        assert_eq!(of(&[], &[]).mean(values(), 3), 2.5);
        assert_eq!(of(&[1], &[]).mean(values(), 3), 4.0);
        assert_eq!(of(&[], &[0, 2]).mean(values(), 3), 2.5);
        assert_eq!(of(&[0, 1], &[1]).mean(values(), 3), 2.5);
        assert!(of(&[2], &[]).mean(values(), 3).is_nan());
        assert_eq!(of(&[], &[]).mean([0.5, f64::NAN].into_iter(), 2), 0.5);
        assert_eq!(of(&[1], &[0]).words().as_deref(), Some("layer 1, head 0"));
    }
}
