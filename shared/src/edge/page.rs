//! Pages of lists: `limit` and an opaque `cursor` that belongs to one list and filter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::{Problem, codes};
use crate::ids::digest;

/// Entries of a page unless told.
const DEFAULT_PAGE: usize = 50;
/// Most entries of a page: two of these fill one `BatchGetItem`, so a page stays a handful of reads.
pub const MAX_PAGE: usize = 200;

/// Bytes of a position: the longest that a list here has is far below.
const MAX_POSITION: usize = 512;

/// How many entries a page shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub usize);

impl Limit {
    /// From the query's `limit`.
    ///
    /// # Errors
    /// `out_of_range`.
    pub fn read(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else {
            return Ok(Self(DEFAULT_PAGE));
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .map(Self)
            .ok_or_else(|| {
                Problem::field(
                    codes::OUT_OF_RANGE,
                    "limit",
                    format!("is a number from 1 to {MAX_PAGE}"),
                )
            })
    }
}

/// Where a list goes on: the position after the last entry, tied to the list by a digest of its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor;

impl Cursor {
    /// The cursor of a list (`list` names it with its filter) at a position.
    #[must_use]
    pub fn write(list: &str, position: &str) -> String {
        let tie = digest("cursor", &[list]);
        URL_SAFE_NO_PAD.encode([&tie[..8], position.as_bytes()].concat())
    }

    /// The position of a cursor that was written for the same list and filter.
    ///
    /// # Errors
    /// `cursor_invalid`.
    pub fn read(list: &str, cursor: Option<&str>) -> Result<Option<String>, Problem> {
        Self::read_as("cursor", list, cursor)
    }

    /// The same, of a parameter with another name.
    ///
    /// # Errors
    /// `cursor_invalid`.
    pub fn read_as(
        parameter: &str,
        list: &str,
        cursor: Option<&str>,
    ) -> Result<Option<String>, Problem> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let position = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let (tie, position) = bytes.split_at_checked(8)?;
            // A sort key has 1 to 1,024 bytes, and ours have far fewer.
            (tie == &digest("cursor", &[list])[..8] && (1..=MAX_POSITION).contains(&position.len()))
                .then(|| String::from_utf8(position.to_vec()).ok())?
        };
        position().map(Some).ok_or_else(|| {
            Problem::field(
                codes::CURSOR_INVALID,
                parameter,
                codes::CURSOR_INVALID.meaning,
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_list_only() {
        let cursor = Cursor::write("conversions?program=a", "2026#x");
        assert_eq!(
            Cursor::read("conversions?program=a", Some(&cursor))
                .unwrap()
                .unwrap(),
            "2026#x"
        );
        assert!(Cursor::read("conversions?program=b", Some(&cursor)).is_err());
        assert!(Cursor::read("conversions?program=a", Some("AAAA")).is_err());
        assert!(Cursor::read("conversions?program=a", Some("%%")).is_err());
    }

    #[test]
    fn limits_are_from_1_to_200() {
        assert_eq!(Limit::read(None).unwrap(), Limit(50));
        assert_eq!(Limit::read(Some("200")).unwrap(), Limit(200));
        for wrong in ["0", "201", "-1", "x", ""] {
            assert!(Limit::read(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
