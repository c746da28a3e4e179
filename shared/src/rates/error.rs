//! What can go wrong with exchange rates.

use crate::edge::{Problem, codes};
use crate::table;

/// What can go wrong with exchange rates.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// Rates at these positions of the list say something else than what is stored, or than one before them.
    #[error("a rate of the same pair and date stands there: {0:?}")]
    Fixed(Vec<usize>),
    /// Others stored rates of the same pairs and dates meanwhile.
    #[error("others store the same rates at this moment")]
    Moved,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<RateError> for Problem {
    fn from(error: RateError) -> Self {
        match error {
            RateError::Fixed(positions) => Self::fields(
                positions
                    .into_iter()
                    .map(|position| {
                        (
                            codes::RATE_FIXED,
                            format!("rates[{position}]"),
                            codes::RATE_FIXED.meaning.to_owned(),
                        )
                    })
                    .collect(),
            ),
            RateError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            RateError::Table(error) => error.into(),
        }
    }
}
