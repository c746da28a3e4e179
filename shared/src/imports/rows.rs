//! Reading CSV files row by row, as spreadsheets write them: pure, and a piece of the file at a time.
//!
//! Rows are counted as a spreadsheet shows them: the header is row 1, and blank rows count. A row that cannot be
//! read is one row; the next one is read as if nothing had been.

/// What Excel and others put in front of UTF-8.
pub const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// Bytes of a row. A quote that nothing closes swallows no more than that before its row is given up.
pub const MAX_ROW_BYTES: usize = 64 * 1024;

/// What separates cells. Where the decimal comma is used, spreadsheets write semicolons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

/// Separators by their names in the store.
pub const SEPARATORS: &[(&str, Separator)] = &[
    ("comma", Separator::Comma),
    ("semicolon", Separator::Semicolon),
    ("tab", Separator::Tab),
];

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }

    /// The one that a file's first line uses most.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).next();
        let uses = |separator: Self| {
            let bytes = line.unwrap_or_default().iter();
            bytes.filter(|byte| **byte == separator.byte()).count()
        };
        let mut found = Self::Comma;
        for other in [Self::Semicolon, Self::Tab] {
            if uses(other) > uses(found) {
                found = other;
            }
        }
        found
    }
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    /// A quote opens a cell and nothing closes it.
    QuoteOpen,
    /// Behind a cell's closing quote stands more than the next separator.
    QuoteMisplaced,
    /// A cell is not UTF-8.
    NotUtf8,
    /// A cell has a control character other than line ends and tabs.
    ControlCharacter,
    /// It has more cells than there are columns.
    TooManyCells,
}

impl RowFault {
    /// What is wrong, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::QuoteOpen => "a quote opens a cell and nothing closes it",
            Self::QuoteMisplaced => {
                "behind a closing quote stands more than the next separator; within quotes, a quote is written twice"
            }
            Self::NotUtf8 => "a cell is not UTF-8 text; save the file as CSV in UTF-8",
            Self::ControlCharacter => "a cell has a control character",
            Self::TooManyCells => "the row has more cells than the header has columns",
        }
    }
}

/// The cells of a row; none of a blank one.
pub type Cells = Result<Vec<String>, RowFault>;

/// What stands at the beginning of a piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A row, and how many bytes it takes with its line end.
    Row(Cells, usize),
    /// The beginning of a row whose end lies in the next piece.
    Cut,
    /// Nothing any more.
    End,
    /// No line ends within [`MAX_ROW_BYTES`]: this is no CSV.
    NoCsv,
}

/// How many bytes of a file's start say that it is UTF-8 and nothing else.
#[must_use]
pub fn mark(start: &[u8]) -> usize {
    if start.starts_with(&MARK) {
        MARK.len()
    } else {
        0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    Closed,
}

/// Reads the row at the beginning of `bytes`; `is_last` says that the file ends where they end.
#[must_use]
pub fn row(bytes: &[u8], separator: Separator, is_last: bool) -> Found {
    if bytes.is_empty() {
        return if is_last { Found::End } else { Found::Cut };
    }
    let separator = separator.byte();
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut cell = Vec::new();
    let mut at = At::CellStart;
    let mut misplaced = false;
    let mut next = 0;
    loop {
        let Some(byte) = bytes.get(next).copied().filter(|_| next < MAX_ROW_BYTES) else {
            let is_long = next >= MAX_ROW_BYTES;
            if !is_long && !is_last {
                return Found::Cut;
            }
            if at == At::Quoted {
                return given_up(bytes, is_last, RowFault::QuoteOpen);
            }
            if is_long {
                return Found::NoCsv;
            }
            break;
        };
        next += 1;
        match (at, byte) {
            (At::Quoted, b'"') => match bytes.get(next) {
                Some(b'"') => {
                    cell.push(b'"');
                    next += 1;
                }
                None if !is_last => return Found::Cut,
                _ => at = At::Closed,
            },
            (At::Quoted, other) => cell.push(other),
            (At::CellStart, b'"') => at = At::Quoted,
            (_, b'\n') => break,
            (_, b'\r') => {
                match bytes.get(next) {
                    Some(b'\n') => next += 1,
                    None if !is_last => return Found::Cut,
                    _ => {}
                }
                break;
            }
            (_, byte) if byte == separator => {
                cells.push(std::mem::take(&mut cell));
                at = At::CellStart;
            }
            // Blanks behind a closing quote say nothing.
            (At::Closed, b' ') => {}
            (At::Closed, _) => misplaced = true,
            (At::CellStart | At::Plain, other) => {
                cell.push(other);
                at = At::Plain;
            }
        }
    }
    cells.push(cell);
    if misplaced {
        return given_up(bytes, is_last, RowFault::QuoteMisplaced);
    }
    Found::Row(texts(cells), next)
}

/// A row that a quote runs away with ends at its first line's end: what it swallowed are rows of their own.
fn given_up(bytes: &[u8], is_last: bool, fault: RowFault) -> Found {
    let within = &bytes[..bytes.len().min(MAX_ROW_BYTES)];
    let end = within.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let taken = match end {
        Some(end) if bytes[end] == b'\n' => end + 1,
        Some(end) => match bytes.get(end + 1) {
            Some(b'\n') => end + 2,
            None if !is_last => return Found::Cut,
            _ => end + 1,
        },
        None if within.len() == bytes.len() && is_last => bytes.len(),
        None => return Found::NoCsv,
    };
    Found::Row(Err(fault), taken)
}

fn texts(cells: Vec<Vec<u8>>) -> Cells {
    let mut texts = Vec::with_capacity(cells.len());
    for cell in cells {
        let text = String::from_utf8(cell).map_err(|_| RowFault::NotUtf8)?;
        let is_layout = |letter: char| matches!(letter, '\n' | '\r' | '\t');
        if text
            .chars()
            .any(|letter| letter.is_control() && !is_layout(letter))
        {
            return Err(RowFault::ControlCharacter);
        }
        texts.push(text.trim().to_owned());
    }
    if texts.iter().all(String::is_empty) {
        texts.clear();
    }
    Ok(texts)
}

/// The same cells under as many columns as there are; empty cells beyond them are what spreadsheets leave.
///
/// # Errors
/// `TooManyCells`.
pub fn fitted(mut cells: Vec<String>, columns: usize) -> Cells {
    let beyond = cells.iter().skip(columns);
    if beyond.clone().any(|cell| !cell.is_empty()) {
        return Err(RowFault::TooManyCells);
    }
    cells.truncate(columns);
    Ok(cells)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All rows of a file that comes in pieces of so many bytes.
    fn all(file: &[u8], separator: Separator, piece: usize) -> Vec<Cells> {
        let mut rows = Vec::new();
        let (mut from, mut to) = (mark(file), 0);
        loop {
            to = to.max(from).min(file.len());
            match row(&file[from..to], separator, to == file.len()) {
                Found::Row(cells, taken) => {
                    rows.push(cells);
                    from += taken;
                }
                Found::Cut => to = (to + piece).min(file.len()),
                Found::End => return rows,
                Found::NoCsv => panic!("no CSV at {from}"),
            }
        }
    }

    fn cells(texts: &[&str]) -> Cells {
        Ok(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn a_file_as_windows_writes_it_reads_as_any_other() {
        let plain = "name,domain\nAcme Ltd,acme.example\nRose,rose.example\n";
        let windows = format!("\u{FEFF}{}", plain.replace('\n', "\r\n"));
        let old = plain.replace('\n', "\r");
        let open_ended = plain.trim_end();
        let expected = [
            cells(&["name", "domain"]),
            cells(&["Acme Ltd", "acme.example"]),
            cells(&["Rose", "rose.example"]),
        ];
        for file in [plain, &windows, &old, open_ended] {
            for piece in [1, 2, 3, 7, 1_000] {
                let rows = all(file.as_bytes(), Separator::of(file.as_bytes()), piece);
                assert_eq!(rows, expected, "{file:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn quoted_cells_hold_separators_quotes_and_line_ends() {
        let file = "\"Acme, \"\"the\"\" Ltd\",\"1 Mill Lane\r\nLondon\" ,\"\"\n5\" pipe, x ,y\n";
        assert_eq!(
            all(file.as_bytes(), Separator::Comma, 3),
            [
                cells(&["Acme, \"the\" Ltd", "1 Mill Lane\r\nLondon", ""]),
                cells(&["5\" pipe", "x", "y"]),
            ]
        );
    }

    #[test]
    fn a_broken_row_leaves_the_others_as_they_are() {
        let file = b"a,b\n\"x\"y,1\n\xFFz,2\nq\x07,3\n\"open,4\nlast,5\n";
        assert_eq!(
            all(file, Separator::Comma, 5),
            [
                cells(&["a", "b"]),
                Err(RowFault::QuoteMisplaced),
                Err(RowFault::NotUtf8),
                Err(RowFault::ControlCharacter),
                Err(RowFault::QuoteOpen),
                cells(&["last", "5"]),
            ]
        );
    }

    #[test]
    fn a_quote_that_another_rows_quote_closes_swallows_one_row() {
        let file = b"\"open,1\n\"closed\",2\nlast,3\n";
        let rows = all(file, Separator::Comma, 4);
        assert_eq!(rows[0], Err(RowFault::QuoteMisplaced));
        assert_eq!(rows[1..], [cells(&["closed", "2"]), cells(&["last", "3"])]);
    }

    #[test]
    fn a_broken_row_ends_where_its_line_does_whatever_ends_lines_and_however_it_comes() {
        for end in ["\n", "\r\n", "\r"] {
            let file = format!("a,b{end}\"x\"y,1{end}\"open,2{end}last,3{end}");
            let expected = [
                cells(&["a", "b"]),
                Err(RowFault::QuoteMisplaced),
                Err(RowFault::QuoteOpen),
                cells(&["last", "3"]),
            ];
            for piece in [1, 2, 3, 1_000] {
                let rows = all(file.as_bytes(), Separator::Comma, piece);
                assert_eq!(rows, expected, "{end:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_proptest_found_is_read_alike_in_any_pieces() {
        let file = b"\"\"\x0e\r\0\0\0";
        let rows = all(file, Separator::Comma, 1);
        assert_eq!(
            rows,
            [
                Err(RowFault::QuoteMisplaced),
                Err(RowFault::ControlCharacter)
            ]
        );
        assert_eq!(rows, all(file, Separator::Comma, 10_000));
    }

    #[test]
    fn a_quote_that_nothing_closes_swallows_one_row_of_a_long_file() {
        let mut file = b"\"open,1\n".to_vec();
        for number in 0..20_000 {
            file.extend(format!("row {number},x\n").bytes());
        }
        let rows = all(&file, Separator::Comma, 4_096);
        assert_eq!(rows.len(), 20_001);
        assert_eq!(rows[0], Err(RowFault::QuoteOpen));
        assert_eq!(rows[20_000], cells(&["row 19999", "x"]));
    }

    #[test]
    fn what_has_no_lines_is_no_csv() {
        let file = vec![b'x'; MAX_ROW_BYTES + 1];
        assert_eq!(row(&file, Separator::Comma, true), Found::NoCsv);
        let quoted = [vec![b'"'], file].concat();
        assert_eq!(row(&quoted, Separator::Comma, true), Found::NoCsv);
        let fits = vec![b'x'; MAX_ROW_BYTES - 1];
        assert!(matches!(
            row(&fits, Separator::Comma, true),
            Found::Row(Ok(_), _)
        ));
    }

    #[test]
    fn blank_rows_are_rows_without_cells() {
        let file = "a,b\n\n,,\n  \nc,d";
        let rows = all(file.as_bytes(), Separator::Comma, 2);
        let blank = || Ok(Vec::new());
        let ends = [cells(&["a", "b"]), cells(&["c", "d"])];
        assert_eq!(
            rows,
            [ends[0].clone(), blank(), blank(), blank(), ends[1].clone()]
        );
    }

    #[test]
    fn the_separator_is_what_the_header_uses_most() {
        for (start, separator) in [
            ("name,domain", Separator::Comma),
            ("name;domain;a,b\nx,y,z,", Separator::Semicolon),
            ("name\tdomain", Separator::Tab),
            ("name", Separator::Comma),
        ] {
            assert_eq!(Separator::of(start.as_bytes()), separator, "{start}");
        }
    }

    #[test]
    fn cells_beyond_the_columns_are_empty_or_a_fault() {
        let read = |texts: &[&str]| fitted(cells(texts).unwrap(), 2);
        assert_eq!(read(&["a", "b", "", ""]), cells(&["a", "b"]));
        assert_eq!(read(&["a"]), cells(&["a"]));
        assert_eq!(read(&["a", "b", "", "c"]), Err(RowFault::TooManyCells));
    }

    #[test]
    fn a_hundred_thousand_rows_are_read_in_pieces() {
        let mut file = String::from("name,domain,country\r\n");
        for number in 0..100_000 {
            file += &format!("\"Company {number}, Ltd\",c{number}.example,GB\r\n");
        }
        let (mut from, mut to, mut count) = (0, 0, 0_usize);
        loop {
            match row(
                &file.as_bytes()[from..to],
                Separator::Comma,
                to == file.len(),
            ) {
                Found::Row(cells, taken) => {
                    let cells = cells.unwrap();
                    assert_eq!(cells.len(), 3);
                    if count == 100_000 {
                        assert_eq!(cells[0], "Company 99999, Ltd");
                    }
                    (count, from) = (count + 1, from + taken);
                }
                Found::Cut => to = (to + 393_216).min(file.len()),
                Found::End => break,
                Found::NoCsv => panic!("at {from}"),
            }
        }
        assert_eq!(count, 100_001);
    }

    proptest! {
        #[test]
        fn whatever_is_written_by_the_rules_reads_back_in_any_pieces(
            rows in prop::collection::vec(prop::collection::vec("[a-z\",;\r\n é]{0,6}[a-z]", 1..4), 1..8),
            piece in 1_usize..40,
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let file = writer.into_inner().unwrap();
            let expected: Vec<Cells> = rows
                .iter()
                .map(|row| Ok(row.iter().map(|cell| cell.trim().to_owned()).collect()))
                .collect();
            prop_assert_eq!(all(&file, Separator::Comma, piece), expected);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(file in prop::collection::vec(any::<u8>(), 0..600), piece in 1_usize..80) {
            let rows = all(&file, Separator::Comma, piece);
            prop_assert_eq!(&rows, &all(&file, Separator::Comma, 10_000));
            prop_assert!(rows.len() <= file.len());
        }

        #[test]
        fn any_quotes_and_line_ends_are_read_alike_in_any_pieces(
            file in "[\",;\r\n a]{0,60}",
            piece in 1_usize..20,
        ) {
            let rows = all(file.as_bytes(), Separator::Comma, piece);
            prop_assert_eq!(rows, all(file.as_bytes(), Separator::Comma, 10_000));
        }
    }
}
