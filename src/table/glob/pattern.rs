//! A path with `*`, `?` and `[…]`, as a shell means them, and `**` for any number of folders.
//!
//! A star does not cross a slash, and does not match a name's leading dot. Matching is linear in the path for each star, without
//! recursion: patterns come from users.

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    folder: String,
    parts: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    Any,
    Star,
    /// Ranges, and whether they are those that are not meant.
    Set(Vec<(char, char)>, bool),
}

impl Pattern {
    /// Every text is one: a bracket that is not closed is itself.
    pub fn new(pattern: &str) -> Self {
        let literal = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
        let folder = pattern[..literal].rfind('/').unwrap_or(0);
        let parts = pattern[folder..].trim_start_matches('/').split('/').map(tokens).collect();
        Self { folder: pattern[..folder].to_owned(), parts }
    }

    /// The folder below which all matches are, without a slash at its end.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Whether this URL, spelt like the pattern, is meant.
    pub fn matches(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix(&self.folder) else { return false };
        let names: Vec<Vec<char>> = rest.trim_start_matches('/').split('/').map(|name| name.chars().collect()).collect();
        wildcard(&self.parts, &names, |part| is_double_star(part), |part, name| matches_name(part, name))
    }
}

fn tokens(part: &str) -> Vec<Token> {
    let chars: Vec<char> = part.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        at += 1;
        tokens.push(match c {
            '?' => Token::Any,
            '*' => Token::Star,
            '[' => match set(&chars[at..]) {
                Some((set, length)) => {
                    at += length;
                    set
                }
                None => Token::Literal('['),
            },
            c => Token::Literal(*c),
        });
    }
    tokens
}

/// What stands between brackets, and how long it is with the closing one.
fn set(rest: &[char]) -> Option<(Token, usize)> {
    let negated = matches!(rest.first(), Some('!' | '^'));
    let start = usize::from(negated);
    // A bracket that comes first is a member.
    let close = rest.iter().skip(start + 1).position(|c| *c == ']')? + start + 1;
    let members = &rest[start..close];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Token::Set(ranges, negated), close + 1))
}

fn is_double_star(part: &[Token]) -> bool {
    part == [Token::Star, Token::Star]
}

fn matches_name(part: &[Token], name: &[char]) -> bool {
    if name.first() == Some(&'.') && part.first() != Some(&Token::Literal('.')) {
        return false;
    }
    wildcard(
        part,
        name,
        |token| *token == Token::Star,
        |token, c| match token {
            Token::Literal(literal) => literal == c,
            Token::Any => true,
            Token::Star => false,
            Token::Set(ranges, negated) => ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated,
        },
    )
}

/// Whether the pattern's items match all of these, where a star matches any number: back to the last star on a mismatch.
fn wildcard<P, T>(pattern: &[P], items: &[T], star: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while i < items.len() {
        match pattern.get(p) {
            Some(part) if star(part) => {
                back = Some((p, i));
                p += 1;
            }
            Some(part) if one(part, &items[i]) => {
                p += 1;
                i += 1;
            }
            _ => match back {
                Some((star_at, from)) => {
                    back = Some((star_at, from + 1));
                    p = star_at + 1;
                    i = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(star)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        Pattern::new(pattern).matches(url)
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let pattern = "s3://b/iceberg/gold/t-1/data/*.parquet";
        assert_eq!(Pattern::new(pattern).folder(), "s3://b/iceberg/gold/t-1/data");
        assert!(matches(pattern, "s3://b/iceberg/gold/t-1/data/x.parquet"));
        for other in ["x.parquet.crc", "day=1/x.parquet", ".x.parquet", "x.orc", ""] {
            assert!(!matches(pattern, &format!("s3://b/iceberg/gold/t-1/data/{other}")), "{other}");
        }
        assert!(!matches(pattern, "s3://b/iceberg/gold/t-2/data/x.parquet"));
    }

    #[test]
    fn wildcards_are_those_of_a_shell() {
        assert!(matches("/d/**/*.parquet", "/d/a/b/x.parquet") && matches("/d/**/*.parquet", "/d/x.parquet"));
        assert!(matches("/d/part-?[0-9].parquet", "/d/part-a7.parquet") && !matches("/d/part-?[0-9].parquet", "/d/part-ab.parquet"));
        assert!(matches("/d/[!a]x", "/d/bx") && !matches("/d/[!a]x", "/d/ax"));
        assert!(matches("/d/[x", "/d/[x") && matches("/d/[]a]", "/d/]"));
        assert!(matches("/d/a.parquet", "/d/a.parquet") && !matches("/d/a.parquet", "/d/aa.parquet"));
        assert!(matches("/d/a*b*c", "/d/a1b2b3c") && !matches("/d/a*b*c", "/d/a1b2b3"));
        assert!(matches("/d/year=*/*.parquet", "/d/year=2026/ü.parquet"));
    }

    #[test]
    fn many_stars_are_not_slow() {
        let pattern = format!("/d/{}b", "a*".repeat(50));
        assert!(!matches(&pattern, &format!("/d/{}", "a".repeat(5000))));
    }
}
