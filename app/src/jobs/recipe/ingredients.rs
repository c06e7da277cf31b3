//! What a recipe is: a TOML file that says what to run, draw and hold beside what was published, and the template of its
//! page.

use std::path::Path;

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, Metric};
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};
use serde::Deserialize;

use super::super::figure::KindChoice;
use crate::jobs::failure::Failure;
use crate::measurement::MeasureOptions;

/// One of the program's own.
struct BuiltIn {
    name: &'static str,
    toml: &'static str,
    page: &'static str,
}

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(BuiltIn {
            name: $name,
            toml: include_str!(concat!("../../../recipes/", $name, ".toml")),
            page: include_str!(concat!("../../../recipes/", $name, ".md")),
        }),+]
    };
}

const BUILT_IN: &[BuiltIn] = built_in![
    "judge-q-hit-rate",
    "dapq-cosine",
    "laq-place",
    "snapkv-window-size",
    "lookahead-overhead",
    "paper-orders",
];

/// What to run, draw and hold beside what was published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Of the page.
    pub title: String,
    /// One line for lists.
    pub summary: String,
    /// Captured windows.
    pub windows: Vec<String>,
    /// Prompts where none are named.
    pub data: Vec<String>,
    /// Decode steps at most.
    pub decode_tokens: usize,
    /// Budgets of the tables.
    pub budgets: Vec<Budget>,
    /// Runs of each window whose median time counts.
    #[serde(default = "once")]
    pub repeat_cost: usize,
    /// How windows and decode stage are scored.
    #[serde(default)]
    pub options: MeasureOptions,
    /// In the order of the page.
    pub figures: Vec<RecipeFigure>,
    /// Numbers of agreement.parquet, without a figure.
    #[serde(default)]
    pub agreements: Vec<RecipeAgreement>,
    /// Paired differences of windows, from difference.parquet, without a figure.
    #[serde(default)]
    pub differences: Vec<RecipeDifferences>,
    /// What papers report.
    #[serde(default)]
    pub published: Vec<Published>,
}

fn recall() -> Metric {
    Metric::Recall
}

fn once() -> usize {
    1
}

/// A figure, whose numbers are a table of the page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeFigure {
    /// Its file, without the ending.
    pub name: String,
    /// What it shows.
    pub kind: KindChoice,
    /// Its windows; all if none are named.
    #[serde(default)]
    pub windows: Vec<String>,
    /// The metric of figures that show one.
    #[serde(default = "recall")]
    pub metric: Metric,
    /// The budget of figures that are about one.
    pub budget: Option<Budget>,
}

/// Means of a column of agreement.parquet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeAgreement {
    /// What the page calls the table.
    pub name: String,
    /// The column.
    pub column: String,
    /// Of these windows.
    pub windows: Vec<String>,
}

/// Paired differences of windows at every budget of the recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeDifferences {
    /// What the page calls the table.
    pub name: String,
    /// Of which metric.
    #[serde(default = "recall")]
    pub metric: Metric,
    /// The window that papers find ahead, and the one that it is ahead of.
    pub pairs: Vec<[String; 2]>,
}

/// A number of a paper.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The figure, or the agreement, that it belongs to.
    pub figure: String,
    /// The series there.
    pub series: String,
    /// The place there as the page's table writes it.
    pub at: String,
    /// What the paper says.
    pub number: f64,
}

/// The program's recipes with their lines.
pub fn recipes() -> impl Iterator<Item = (&'static str, Result<String>)> {
    BUILT_IN.iter().map(|own| {
        let recipe = parse(own.toml, own.name);
        (own.name, recipe.map(|recipe| recipe.summary))
    })
}

/// The recipe of a name, or in a file, with the template of its page.
///
/// # Errors
/// [`Failure::BadInput`] for a name that is none, and for a file that is no recipe.
pub fn find(name: &str) -> Result<(Recipe, String)> {
    if let Some(own) = BUILT_IN.iter().find(|own| own.name == name) {
        return Ok((parse(own.toml, name)?, own.page.to_owned()));
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|ending| ending != "toml") {
        let names: Vec<&str> = BUILT_IN.iter().map(|own| own.name).collect();
        return Err(Failure::BadInput(format!(
            "there is no recipe '{name}' (there is: {}); one of your own is named by its file NAME.toml",
            names.join(", ")
        ))
        .into());
    }
    let read = |path: &Path| {
        read_text_at_most(path, MOST_TYPED_BYTES)
            .with_context(|| format!("the recipe cannot be read: {}", path.display()))
    };
    Ok((
        parse(&read(path)?, name)?,
        read(&path.with_extension("md"))?,
    ))
}

fn parse(toml: &str, name: &str) -> Result<Recipe> {
    let recipe: Recipe = toml::from_str(toml)
        .map_err(|error| Failure::BadInput(format!("'{name}' is no recipe: {error}")))?;
    let tables = recipe.tables();
    for published in &recipe.published {
        if !tables.contains(&published.figure.as_str()) {
            return Err(Failure::BadInput(format!(
                "'{name}' is no recipe: a published number belongs to '{}', which is none of its figures ({})",
                published.figure,
                tables.join(", ")
            ))
            .into());
        }
    }
    Ok(recipe)
}

impl Recipe {
    /// Names of its tables: figures, agreements, differences.
    pub fn tables(&self) -> Vec<&str> {
        let figures = self.figures.iter().map(|figure| figure.name.as_str());
        let agreements = self.agreements.iter().map(|table| table.name.as_str());
        let differences = self.differences.iter().map(|table| table.name.as_str());
        figures.chain(agreements).chain(differences).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_of_a_recipe_ends_the_program() {
        let text = include_str!("../../../recipes/laq-place.toml");
        crate::damages::each_is_read_or_refused("own.toml", text, |path| {
            std::fs::write(path.with_extension("md"), "# A page").map_err(|e| e.to_string())?;
            let read = find(&path.display().to_string()).map(drop);
            read.map_err(|error| error.to_string())
        });
    }

    #[test]
    fn every_recipe_of_the_program_is_one_and_its_page_shows_all_tables() {
        for own in BUILT_IN {
            let (recipe, page) = find(own.name).unwrap();
            for table in recipe.tables() {
                // of orders only differences are told
                let is_shown = page.contains(&format!("tables[\"{table}\"]"));
                let is_drawn = page.contains(&format!("files[\"{table}\"]"));
                assert!(is_shown || is_drawn, "{table}");
            }
            for differences in &recipe.differences {
                let table = format!("tables[\"{}\"]", differences.name);
                assert!(page.contains(&table), "{table}");
            }
            for part in ["{{ run }}", "{{ caution }}", "What can be concluded"] {
                assert!(page.contains(part), "{}: {part}", own.name);
            }
            kvlens_sessions::windows::parse_windows(&recipe.windows).unwrap();
        }
        assert_eq!(recipes().count(), BUILT_IN.len());
    }

    #[test]
    fn what_is_no_recipe_is_refused_with_a_sentence() {
        let error = |name: &str| find(name).unwrap_err().to_string();
        assert!(error("judge-q").contains("judge-q-hit-rate"));
        assert!(error("missing.toml").contains("cannot be read"));
        let stray = format!(
            "{}\n[[published]]\nfigure = \"no\"\nseries = \"\"\nat = \"\"\nnumber = 1.0",
            BUILT_IN[2].toml
        );
        let error = parse(&stray, "mine").unwrap_err().to_string();
        assert!(error.contains("'no'") && error.contains("place"), "{error}");
        assert!(parse("title = 3", "mine").is_err());
    }
}
