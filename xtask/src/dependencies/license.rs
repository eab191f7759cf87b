//! Licence expressions (SPDX 2.1: `OR`, `AND`, `WITH`, parentheses; and the older `/` for `OR`) against a list.

/// Whether an expression can be met with the licences of the list. `X WITH Y` counts as one licence of that name.
pub fn allowed(expression: &str, list: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, list };
    let met = parser.either()?;
    match parser.words.first() {
        None => Ok(met),
        Some(word) => Err(format!("'{word}' was not expected")),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    list: &'a [String],
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first().is_some_and(|first| first.eq_ignore_ascii_case(word));
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut met = self.both()?;
        while self.take("OR") {
            met |= self.both()?;
        }
        Ok(met)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Ok(met)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let met = self.either()?;
            return if self.take(")") {
                Ok(met)
            } else {
                Err("a parenthesis is not closed".to_owned())
            };
        }
        let mut name = self.word()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.word()?);
        }
        Ok(self.list.contains(&name))
    }

    fn word(&mut self) -> Result<&str, String> {
        match self.words {
            [word, rest @ ..] if !["OR", "AND", "WITH", "(", ")"].contains(word) => {
                self.words = rest;
                Ok(word)
            }
            [word, ..] => Err(format!("'{word}' stands where a licence is expected")),
            [] => Err("it ends where a licence is expected".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    fn check(expression: &str, expected: Result<bool, &str>) {
        let list = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        match (allowed(expression, &list), expected) {
            (Ok(met), Ok(expected)) => assert_eq!(met, expected, "{expression}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{expression}: {why}"),
            (got, expected) => panic!("{expression}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn expressions_are_weighed() {
        check("MIT", Ok(true));
        check("GPL-3.0-only", Ok(false));
        check("MIT OR GPL-3.0-only", Ok(true));
        check("GPL-3.0-only/MIT", Ok(true));
        check("MIT AND GPL-3.0-only", Ok(false));
        check("(MIT OR GPL-3.0-only) AND Unicode-3.0", Ok(true));
        check("MIT OR GPL-3.0-only AND LGPL-3.0-only", Ok(true));
        check("Apache-2.0 WITH LLVM-exception", Ok(true));
        check("MIT WITH LLVM-exception", Ok(false));
        check("", Err("it ends"));
        check("MIT OR", Err("it ends"));
        check("MIT Apache-2.0", Err("not expected"));
        check("(MIT", Err("not closed"));
        check("AND MIT", Err("stands where"));
    }
}
