//! The characters that bank files take.

use deunicode::deunicode_char;

/// A text in the Latin set of the European Payments Council: letters, digits, `/ - ? : ( ) . , ' +` and
/// blanks. What has a likeness in it is transliterated (EPC217-08 for signs), anything else becomes a full
/// stop. Blanks are joined; cut to `most` characters.
#[must_use]
pub fn latin(text: &str, most: usize) -> String {
    cut(
        text.chars().flat_map(|letter| {
            ascii(letter)
                .map(|letter| match letter {
                    '&' => '+',
                    ';' => ',',
                    '[' | '{' => '(',
                    ']' | '}' => ')',
                    '\\' | '|' => '/',
                    '_' | '~' => '-',
                    '`' | '"' => '\'',
                    letter if letter.is_ascii_alphanumeric() => letter,
                    letter if " /-?:().,'+".contains(letter) => letter,
                    _ => '.',
                })
                .collect::<Vec<_>>()
        }),
        most,
    )
}

/// A text in capital letters, digits and the other visible characters of ASCII, transliterated. Blanks are
/// joined; cut to `most` characters.
#[must_use]
pub fn capitals(text: &str, most: usize) -> String {
    cut(
        text.chars().flat_map(|letter| {
            ascii(letter)
                .map(|letter| letter.to_ascii_uppercase())
                .collect::<Vec<_>>()
        }),
        most,
    )
}

/// Whether a text has a letter or a digit.
#[must_use]
pub fn says_something(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// A character in printable ASCII: itself, its transliteration, a blank for white space and controls, or a
/// full stop for what nothing is like.
fn ascii(letter: char) -> impl Iterator<Item = char> {
    let text = if letter.is_whitespace() || letter.is_control() {
        " "
    } else {
        deunicode_char(letter).unwrap_or(".")
    };
    text.chars().map(|letter| {
        if letter.is_ascii_graphic() {
            letter
        } else {
            ' '
        }
    })
}

fn cut(letters: impl Iterator<Item = char>, most: usize) -> String {
    let mut text = String::new();
    for letter in letters {
        if letter != ' ' || !(text.is_empty() || text.ends_with(' ')) {
            text.push(letter);
        }
    }
    text.truncate(most);
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_transliterated_into_the_latin_set() {
        for (name, expected) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Jürgen Groß & Söhne", "Jurgen Gross + Sohne"),
            ("Łukasz Żółć", "Lukasz Zolc"),
            ("Ελληνικά", "Ellenika"),
            ("Иван Петров", "Ivan Petrov"),
            ("  two \t blanks\n", "two blanks"),
            ("a_b [c] \"d\"", "a-b (c) 'd'"),
        ] {
            assert_eq!(latin(name, 70), expected);
        }
        assert_eq!(latin("北京", 70).to_lowercase(), "bei jing");
        assert_eq!(
            latin(&"ß".repeat(70), 70).len(),
            70,
            "cut after it has grown"
        );
        assert!(!says_something(&latin("\u{10FFFF}\u{10FFFE}", 70)));
    }

    #[test]
    fn signs_that_banks_refuse_become_those_they_take() {
        for (sign, expected) in [
            ("&", "+"),
            (";", ","),
            ("[", "("),
            ("{", "("),
            ("]", ")"),
            ("}", ")"),
            ("\\", "/"),
            ("|", "/"),
            ("_", "-"),
            ("~", "-"),
            ("`", "'"),
            ("\"", "'"),
            ("*", "."),
        ] {
            assert_eq!(latin(&format!("a{sign}b"), 70), format!("a{expected}b"));
        }
    }

    #[test]
    fn american_files_are_in_capitals() {
        assert_eq!(capitals("Zoë O'Neil & Cie.", 22), "ZOE O'NEIL & CIE.");
        assert_eq!(
            capitals("A very long name of a company", 22),
            "A VERY LONG NAME OF A"
        );
    }

    proptest! {
        #[test]
        fn nothing_else_ever_stands_in_a_file(text in ".*", most in 0_usize..100) {
            let permitted = |letter: char| letter.is_ascii_alphanumeric() || " /-?:().,'+".contains(letter);
            let latin = latin(&text, most);
            prop_assert!(latin.chars().all(permitted) && latin.len() <= most, "{latin}");
            let capitals = capitals(&text, most);
            let visible = |letter: char| (' '..='~').contains(&letter) && !letter.is_ascii_lowercase();
            prop_assert!(capitals.chars().all(visible) && capitals.len() <= most, "{capitals}");
            prop_assert_eq!(super::latin(&latin, most), latin.clone(), "what fits stays as it is");
            prop_assert_eq!(super::capitals(&capitals, most), capitals.clone());
        }
    }
}
