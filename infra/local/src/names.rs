//! `names`: how well the comparison of companies' names tells them apart, measured on labelled pairs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use tributary::customers::names::{PROPOSED, SAME, similarity};

/// Pairs that follow the naming patterns of 36 countries, half of them one company's; the names are made
/// up.
const PAIRS: &[u8] = include_bytes!("../data/company_names.csv");

/// What `names` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Names {
    /// CSV of your own, with the columns `left,left_country,right,right_country,same,pattern`; `same` is yes or no
    pub pairs: Option<PathBuf>,
    /// From this similarity on, of 1000, two names are taken for one company's
    #[arg(long, default_value_t = PROPOSED, value_parser = clap::value_parser!(u16).range(1..=i64::from(SAME)))]
    pub threshold: u16,
    /// List the pairs that are misjudged
    #[arg(long)]
    pub wrong: bool,
}

/// A labelled pair.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    left: String,
    left_country: String,
    right: String,
    right_country: String,
    same: Same,
    pattern: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Same {
    Yes,
    No,
}

/// How the pairs were judged.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Proposed, and one company's.
    pub found: usize,
    /// Proposed, and not one company's.
    pub mistaken: usize,
    /// One company's, and not proposed.
    pub missed: usize,
    /// Neither.
    pub apart: usize,
    patterns: BTreeMap<String, (usize, usize)>,
    wrong: Vec<(u16, Pair)>,
}

/// Judges labelled pairs.
///
/// # Errors
/// A row that is not as the header says.
pub fn measure(pairs: &[u8], threshold: u16) -> Result<Measured, csv::Error> {
    let mut measured = Measured::default();
    for pair in csv::Reader::from_reader(pairs).deserialize() {
        let pair: Pair = pair?;
        let score = similarity(
            (&pair.left, known(&pair.left_country)),
            (&pair.right, known(&pair.right_country)),
        );
        let is_proposed = score >= threshold;
        let is_same = pair.same == Same::Yes;
        *match (is_proposed, is_same) {
            (true, true) => &mut measured.found,
            (true, false) => &mut measured.mistaken,
            (false, true) => &mut measured.missed,
            (false, false) => &mut measured.apart,
        } += 1;
        let (right, all) = measured.patterns.entry(pair.pattern.clone()).or_default();
        *all += 1;
        if is_proposed == is_same {
            *right += 1;
        } else {
            measured.wrong.push((score, pair));
        }
    }
    Ok(measured)
}

/// A country, where a row names one.
fn known(country: &str) -> Option<&str> {
    Some(country).filter(|country| !country.is_empty())
}

impl Measured {
    /// Of those proposed, how many are one company's, per thousand.
    #[must_use]
    pub fn precision(&self) -> usize {
        self.found * 1000 / (self.found + self.mistaken).max(1)
    }

    /// Of one company's, how many are proposed, per thousand.
    #[must_use]
    pub fn recall(&self) -> usize {
        self.found * 1000 / (self.found + self.missed).max(1)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |per_mille: usize| format!("{}.{} %", per_mille / 10, per_mille % 10);
        for (pattern, (right, all)) in &self.patterns {
            writeln!(f, "{right:4} of {all:2} right  {pattern}")?;
        }
        writeln!(
            f,
            "precision {}: of {} pairs proposed, {} are one company's",
            percent(self.precision()),
            self.found + self.mistaken,
            self.found
        )?;
        write!(
            f,
            "recall {}: of {} pairs that are one company's, {} are proposed",
            percent(self.recall()),
            self.found + self.missed,
            self.found
        )
    }
}

/// Measures and prints.
///
/// # Errors
/// A file that cannot be read, or a row that is not as the header says.
pub fn names(options: &Names) -> Result<(), Box<dyn std::error::Error>> {
    let measured = match &options.pairs {
        None => measure(PAIRS, options.threshold)?,
        Some(path) => {
            let pairs =
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            measure(&pairs, options.threshold)
                .map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    if options.wrong {
        for (score, pair) in &measured.wrong {
            let verdict = match pair.same {
                Same::Yes => "missed  ",
                Same::No => "mistaken",
            };
            println!("{verdict} {score:4}  {} / {}", pair.left, pair.right);
        }
    }
    println!("{measured}");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_as_well_as_the_readme_says() {
        let measured = measure(PAIRS, PROPOSED).unwrap();
        assert!(measured.found + measured.missed >= 200, "{measured}");
        assert!(measured.mistaken + measured.apart >= 200, "{measured}");
        let said = measured.to_string();
        let readme = include_str!("../../../README.md");
        for line in said.lines().rev().take(2) {
            assert!(readme.contains(line), "README.md does not say: {line}");
        }
    }

    #[test]
    fn a_row_that_is_not_as_the_header_says_is_told_by_its_line() {
        let header = "left,left_country,right,right_country,same,pattern\n";
        let wrong = format!("{header}A,GB,B,GB,perhaps,other\n");
        let error = measure(wrong.as_bytes(), PROPOSED).unwrap_err().to_string();
        assert!(error.contains("line: 2"), "{error}");
    }
}
